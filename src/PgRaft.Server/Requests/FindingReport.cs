// All that is to be said of this node: of its settings, as the shim has judged them; of HTTP; and
// of what was measured. The status page and pgraft.settings_check both show this list and no other,
// so that they cannot differ. The view alone has a row for its own database (extension), of which
// the worker, which is connected to none, knows nothing.
// Threading: any thread; the shim's findings are swapped whole. Failure: none; without a node there
// is nothing measured.
using PgRaft.Consensus;

namespace PgRaft.Server.Requests;

internal sealed class FindingReport(
    NodeOptions options, IReadOnlyList<Finding> ofSettings, Func<string?> httpTrouble)
{
    private IReadOnlyList<Finding> _ofSettings = ofSettings;

    /// <summary>Takes over what is to be said of the settings since a reload.</summary>
    public void Reload(IReadOnlyList<Finding> ofSettings) =>
        Volatile.Write(ref _ofSettings, ofSettings);

    /// <summary>Rows with a finding and rows with a measurement alone.</summary>
    public IReadOnlyList<Finding> Of(IRaftNode? node) =>
    [
        .. Volatile.Read(ref _ofSettings),
        .. Findings.Http(httpTrouble()),
        .. node is null ? [] : Findings.Of(options, node.Status, node.GetFacts()),
    ];
}
