// Configurations that this node proposes itself, past the engine: those that change no voter.
// Threading: as the rest of the class. Failure: as for a command.
using PgRaft.Consensus.Apply;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Engine;

internal sealed partial class EngineLog
{
    /// <summary>As <see cref="Propose"/>, with a configuration, which takes effect at once.
    /// </summary>
    public PendingProposal? ProposeConfiguration(long term, Configuration configuration)
    {
        PendingProposal pending;
        lock (_gate)
        {
            if (_terms.Term != term || _closedTerm == term)
            {
                return null;
            }

            long index = AppendOwn(term, EntryKind.Configuration, configuration.Bytes.Span);
            _configurations.Append(index, term, configuration);
            Volatile.Write(ref _ownConfigurations, _ownConfigurations + 1);
            pending = _applier.Register(index, term);
        }

        ConfigurationChanged?.Invoke();
        return pending;
    }
}
