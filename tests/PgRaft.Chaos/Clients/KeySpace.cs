// The keys that clients read and write: a few at a time, so that clients meet, each for a bounded
// number of operations, so that the checker's work is bounded; then another takes its place.
// Threading: any thread. Failure: none.

using System.Globalization;

namespace PgRaft.Chaos.Clients;

internal sealed class KeySpace(string name)
{
    /// <summary>What all the clients' keys begin with.</summary>
    public const string Prefix = "chaos/";

    private const int Slots = 4;
    private const int OperationsPerKey = 120;

    private readonly int[] _used = new int[Slots];

    public string Next(Random random)
    {
        var slot = random.Next(Slots);
        return KeyOf(slot, Interlocked.Increment(ref _used[slot]));
    }

    /// <summary>Another key takes the place of this one, unless that has happened already.
    /// </summary>
    public void Retire(string key)
    {
        for (var slot = 0; slot < Slots; slot++)
        {
            var used = Volatile.Read(ref _used[slot]);
            if (KeyOf(slot, used) == key)
            {
                var next = ((used / OperationsPerKey) + 1) * OperationsPerKey;
                Interlocked.CompareExchange(ref _used[slot], next, used);
            }
        }
    }

    private string KeyOf(int slot, int used)
    {
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Prefix}{name}/{slot}/{used / OperationsPerKey}");
    }
}
