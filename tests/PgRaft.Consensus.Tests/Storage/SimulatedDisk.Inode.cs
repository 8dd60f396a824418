// The content of a file on the simulated disk: what was written, what is on the medium, and which
// sectors lie between. Threading: the disk's lock. Failure: none.
namespace PgRaft.Consensus.Tests.Storage;

internal sealed partial class SimulatedDisk
{
    private sealed class Inode
    {
        // Sectors written since the last sync.
        private readonly HashSet<int> _dirty = [];

        // What the last sync that lagged has yet to bring to the medium.
        private List<(int At, byte[] Content)> _late = [];

        internal Bytes Live { get; } = new();

        internal byte[] Durable { get; set; } = [];

        internal void Write(int offset, ReadOnlySpan<byte> data)
        {
            Live.Length = Math.Max(Live.Length, offset + data.Length);
            data.CopyTo(Live.AsSpan()[offset..]);
            for (int sector = offset / SectorBytes;
                sector * SectorBytes < offset + data.Length; sector++)
            {
                _dirty.Add(sector);
            }
        }

        internal void Forget() => _dirty.Clear();

        // A sync as it should be.
        internal void WriteDirty()
        {
            WriteLate();
            WriteLate();
        }

        // What was written before the sync before this one.
        internal void WriteLate()
        {
            byte[] durable = Durable;
            int end = _late.Count == 0 ? 0 : _late.Max(l => l.At + l.Content.Length);
            Array.Resize(ref durable, Math.Max(durable.Length, end));
            foreach ((int at, byte[] content) in _late)
            {
                content.CopyTo(durable, at);
            }

            Durable = durable;
            _late = [.. _dirty.Where(s => s * SectorBytes < Live.Length).Select(SectorOf)];
            _dirty.Clear();
        }

        private (int At, byte[] Content) SectorOf(int sector)
        {
            int at = sector * SectorBytes;
            int count = Math.Min(SectorBytes, Live.Length - at);
            return (at, Live.AsSpan().Slice(at, count).ToArray());
        }

        internal Inode Survive(Survival survival, Random random)
        {
            byte[] live = Live.AsSpan().ToArray();
            int length = survival switch
            {
                Survival.Nothing => Durable.Length,
                Survival.Everything => live.Length,
                _ => Durable.Length + random.Next(live.Length - Durable.Length + 1),
            };
            byte[] content = new byte[length];
            Durable.AsSpan(0, Math.Min(length, Durable.Length)).CopyTo(content);
            for (int at = 0; at < length; at += SectorBytes)
            {
                bool survives = survival == Survival.Everything
                    || (survival == Survival.Random && random.Next(2) == 0);
                if (survives)
                {
                    int count = Math.Min(SectorBytes, length - at);
                    live.AsSpan(at, count).CopyTo(content.AsSpan(at));
                }
            }

            var survivor = new Inode { Durable = content };
            survivor.Live.Length = content.Length;
            content.CopyTo(survivor.Live.AsSpan());
            return survivor;
        }
    }

    // Zeros at first; grows.
    private sealed class Bytes
    {
        private byte[] _bytes = [];
        private int _length;

        internal int Length
        {
            get => _length;
            set
            {
                if (value > _bytes.Length)
                {
                    Array.Resize(ref _bytes, Math.Max(value, _bytes.Length * 2));
                }

                if (value < _length)
                {
                    _bytes.AsSpan(value, _length - value).Clear();
                }

                _length = value;
            }
        }

        internal Span<byte> AsSpan() => _bytes.AsSpan(0, _length);
    }
}
