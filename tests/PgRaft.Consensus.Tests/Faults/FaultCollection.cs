// Whole clusters under faults run by themselves: beside them, tests of timeouts would wait for the
// processor, and they for those. Threading: one class of them at a time. Failure: none of its own.
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class FaultCollection
{
    public const string Name = "faults";
}
