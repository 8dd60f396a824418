// The keys that clients read and write: a few at a time, so that clients meet, each for a bounded
// number of operations, so that the checker's work is bounded; then another takes its place.
// Threading: any thread. Failure: none.

using System.Globalization;

namespace PgRaft.Chaos.Clients;

internal sealed class KeySpace(int epoch)
{
    /// <summary>What all the clients' keys begin with.</summary>
    public const string Prefix = "chaos/";

    private const int Slots = 4;
    private const int OperationsPerKey = 120;

    private readonly int[] _used = new int[Slots];

    public string Next(Random random)
    {
        var slot = random.Next(Slots);
        var generation = Interlocked.Increment(ref _used[slot]) / OperationsPerKey;
        return string.Create(CultureInfo.InvariantCulture, $"{Prefix}{epoch}/{slot}/{generation}");
    }
}
