// One test at a time: they measure times, and share the machine with their servers. What the run
// leaves behind is removed when the last one is over.

using Xunit.Sdk;
using Xunit.v3;

[assembly: Parallelization(Mode = ParallelMode.None)]
[assembly: AssemblyFixture(typeof(TestRun))]
