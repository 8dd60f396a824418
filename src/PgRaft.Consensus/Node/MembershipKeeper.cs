// Keeps the engine's member list equal to the newest configuration in the log.
//
// The engine would change its members when a configuration is applied, that is after commit. That
// is too late: a member that has the entry but not yet applied it could be elected by the old
// voters, two changes later without any overlap with the new ones (hazard 17). So the change is
// made when the entry is appended, before the append is acknowledged, and no election is started in
// between.
// Threading: Settle is serialised by _turn and must not be called from inside the log or while
// holding the engine's transition lock. Failure: cancellation only.
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Node;

/// <summary>Applies configurations to the engine.</summary>
internal sealed class MembershipKeeper(
    RaftNode node, MemberAddress self, ConfigurationHistory history, ILogger logger)
    : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Lock _gate = new();
    private readonly Dictionary<int, RemoteMember> _remotes = [];
    private Configuration _active = Configuration.Empty;
    private LocalMember? _local;
    private bool _hosting;

    /// <summary>Whether the engine counts votes by the newest configuration in the log.</summary>
    public bool IsSettled => !Volatile.Read(ref _hosting)
        && ReferenceEquals(Volatile.Read(ref _active), history.Latest.Configuration);

    /// <summary>The configuration the engine uses.</summary>
    public Configuration Active => Volatile.Read(ref _active);

    /// <summary>The other members in use.</summary>
    public RemoteMember[] Remotes
    {
        get
        {
            lock (_gate)
            {
                return [.. _remotes.Values.Where(r => Active.Contains(r.Address.NodeId))];
            }
        }
    }

    /// <summary>The connections to a node; null when it is unknown.</summary>
    public Peer? FindPeer(int nodeId)
    {
        lock (_gate)
        {
            return _remotes.GetValueOrDefault(nodeId)?.Peer;
        }
    }

    /// <summary>The members for an engine that is about to start.</summary>
    public IEnumerable<Member> Begin()
    {
        var wanted = history.Latest.Configuration;
        Volatile.Write(ref _active, wanted);
        return MembersOf(wanted);
    }

    /// <summary>Drops every member object: the engine that used them has ended, and the members of
    /// the next may have other addresses under the same ids.</summary>
    public void Forget()
    {
        lock (_gate)
        {
            foreach (var remote in _remotes.Values)
            {
                remote.Dispose();
            }

            _remotes.Clear();
            node.Versions.Others([]);
            _local = null;
        }
    }

    /// <summary>Makes the engine use the newest configuration, and waits until it does.</summary>
    public async ValueTask SettleAsync(CancellationToken token)
    {
        if (IsSettled)
        {
            return;
        }

        await _turn.WaitAsync(token).ConfigureAwait(false);
        try
        {
            while (!IsSettled)
            {
                var wanted = history.Latest.Configuration;
                await node.Engine.SetMembersAsync(MembersOf(wanted), token).ConfigureAwait(false);
                Volatile.Write(ref _active, wanted);
                ForgetAllBut(wanted);
            }
        }
        finally
        {
            _turn.Release();
        }

        node.MembersChanged();
    }

    /// <summary>
    /// Answers a request for a vote of any node, also of one that is not in this node's
    /// configuration.
    /// </summary>
    /// <remarks>
    /// Hazard 30: the engine votes for its members only. A candidate may be a member by an entry
    /// that this node does not have yet, and then it may be the only one that can win. So it is
    /// made a member for the time of the request, in which this node does not stand itself. That
    /// goes for a node that is no member by its own log, too: the others may count its vote.
    /// <i>Source</i>: Ongaro 2014 §4.1, a server grants votes without asking its configuration.
    /// </remarks>
    public async ValueTask<T> VoteAsync<T>(
        int candidateId, Func<ValueTask<T>> vote, CancellationToken token)
    {
        if (Active.Contains(candidateId) || node.View.Tenure is not null)
        {
            return await vote().ConfigureAwait(false);
        }

        await _turn.WaitAsync(token).ConfigureAwait(false);
        Volatile.Write(ref _hosting, true);
        try
        {
            await SetGuestAsync(candidateId).ConfigureAwait(false);
            return await vote().ConfigureAwait(false);
        }
        finally
        {
            await EndHostingAsync().ConfigureAwait(false);
        }
    }

    /// <summary>A member object for a node that is to be added.</summary>
    public RemoteMember Candidate(MemberAddress address) => Remote(address);

    /// <summary>Drops a node that was not added after all.</summary>
    public void Abandon(RemoteMember candidate)
    {
        lock (_gate)
        {
            if (history.Latest.Configuration.Contains(candidate.Address.NodeId)
                || Active.Contains(candidate.Address.NodeId))
            {
                return;
            }

            _remotes.Remove(candidate.Address.NodeId);
            node.Versions.Others(_remotes.Keys);
        }

        candidate.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    private async Task EndHostingAsync()
    {
        try
        {
            await SetGuestAsync(null).ConfigureAwait(false);
        }
        finally
        {
            Volatile.Write(ref _hosting, false);
            _turn.Release();
        }
    }

    // The guest is never called: a candidate is only answered.
    private async Task SetGuestAsync(int? nodeId)
    {
        var members = MembersOf(Active);
        if (nodeId is { } guest)
        {
            members.Add(NewRemote(new MemberAddress(guest, "", 0)));
        }

        await node.Engine.SetMembersAsync(members, CancellationToken.None).ConfigureAwait(false);
    }

    private List<Member> MembersOf(Configuration configuration)
    {
        var members = new List<Member>();
        foreach (var address in configuration.Addresses)
        {
            members.Add(address.NodeId == self.NodeId
                ? _local ??= new LocalMember(address, node.MayCampaign)
                : Remote(address));
        }

        return members;
    }

    private RemoteMember Remote(MemberAddress address)
    {
        lock (_gate)
        {
            if (!_remotes.TryGetValue(address.NodeId, out var remote))
            {
                remote = NewRemote(address);
                _remotes.Add(address.NodeId, remote);
                node.Versions.Others(_remotes.Keys);
            }

            return remote;
        }
    }

    private RemoteMember NewRemote(MemberAddress address)
    {
        Hello MyHello(ChannelKind kind) => node.Hello(kind, address.NodeId);
        var peer = new Peer(
            address, MyHello, ((IMemberHost)node).Clock, logger, node.Versions.Heard);
        return new RemoteMember(address, peer, node);
    }

    private void ForgetAllBut(Configuration wanted)
    {
        lock (_gate)
        {
            foreach (int gone in _remotes.Keys.Where(id => !wanted.Contains(id)).ToArray())
            {
                _remotes.Remove(gone);
            }

            node.Versions.Others(_remotes.Keys);
        }

        if (!wanted.Contains(self.NodeId))
        {
            _local = null;
        }
    }
}
