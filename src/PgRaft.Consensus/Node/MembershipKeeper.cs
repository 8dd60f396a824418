// Keeps the engine's member list equal to the newest configuration in the log.
//
// The engine would change its members when a configuration is applied, that is after commit. That
// is too late: a member that has the entry but not yet applied it could be elected by the old
// voters, two changes later without any overlap with the new ones (hazard 17). So the change is
// made when the entry is appended, before the append is acknowledged, and no election is started in
// between.
//
// A configuration that is older than what this node was told of its own membership
// (MembershipNotice) does not make it a voter.
// Threading: Settle is serialised by _turn and must not be called from inside the log or while
// holding the engine's transition lock. Failure: cancellation only.
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Node;

/// <summary>Applies configurations to the engine.</summary>
internal sealed class MembershipKeeper(
    RaftNode node, MemberAddress self, ConfigurationHistory history, MembershipNotices notices,
    ILogger logger)
    : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Lock _gate = new();
    private readonly Dictionary<int, RemoteMember> _remotes = [];
    private Basis _basis = new(Configuration.Empty, MembershipNotice.None, Configuration.Empty);
    private LocalMember? _local;
    private bool _hosting;

    /// <summary>Whether the engine counts votes by the newest configuration in the log.</summary>
    public bool IsSettled
    {
        get
        {
            var basis = Volatile.Read(ref _basis);
            return !Volatile.Read(ref _hosting)
                && ReferenceEquals(basis.Source, history.Latest.Configuration)
                && ReferenceEquals(basis.Notice, notices.Current);
        }
    }

    /// <summary>The configuration the engine uses: the newest, without this node unless it counts
    /// as a voter.</summary>
    public Configuration Active => Volatile.Read(ref _basis).Effective;

    /// <summary>As of which log index this node was told that it is no member any more; 0 = it was
    /// not.</summary>
    public long RemovedIndex =>
        notices.Current is { Kind: NoticeKind.Removed } notice ? notice.Index : 0;

    /// <summary>Whether this node takes entries: it is a member, or about to be added.</summary>
    /// <remarks>An emptied data_dir of a member is neither. Its acknowledgements would count for
    /// what it no longer has.</remarks>
    public bool TakesEntries => CountsSelf || notices.Current.Kind == NoticeKind.Joining;

    /// <summary>Whether this node gives votes: it is a member, or may be one by an entry that has
    /// not reached it yet.</summary>
    /// <remarks>A joining node votes once it has all that the leader had when it joined: what is
    /// committed cannot be passed over with its vote then.</remarks>
    public bool GivesVotes => CountsSelf
        || (notices.Current is { Kind: NoticeKind.Joining } notice
            && node.Log.Records.LastIndex >= notice.Index);

    /// <summary>Whether this node is a voter by the newest configuration in its log, also if the
    /// engine does not use it yet.</summary>
    public bool CountsSelf
    {
        get
        {
            var (index, configuration) = history.Latest;
            return notices.Current.LetsCount(index) && configuration.Contains(self.NodeId);
        }
    }

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
        NoticeRemoval(wasMember: notices.Current.Kind == NoticeKind.None);
        var wanted = Wanted();
        Volatile.Write(ref _basis, wanted);
        return MembersOf(wanted.Effective);
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
                NoticeRemoval(wasMember: Active.Contains(self.NodeId));
                var wanted = Wanted();
                await node.Engine.SetMembersAsync(MembersOf(wanted.Effective), token)
                    .ConfigureAwait(false);
                Volatile.Write(ref _basis, wanted);
                ForgetAllBut(wanted.Effective);
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

    /// <summary>A leader is about to add this node. To be followed by
    /// <see cref="SettleAsync"/>.</summary>
    /// <returns>False when the request is older than what this node knows.</returns>
    public bool Join(long lastIndex) => notices.Join(lastIndex);

    /// <summary>
    /// Takes a member's word that this node is not one any more. To be followed by
    /// <see cref="SettleAsync"/>.
    /// </summary>
    /// <param name="configurationIndex">Index of a committed configuration without this node.
    /// </param>
    /// <returns>False when this node is a member by a later one: the other does not know that yet;
    /// or when it takes itself for none anyway.</returns>
    public bool AcceptRemoval(long configurationIndex)
    {
        if (!CountsSelf || configurationIndex <= history.Latest.Index)
        {
            return false;
        }

        notices.Remove(configurationIndex);
        return true;
    }

    /// <summary>A member object for a node that is to be added.</summary>
    public RemoteMember Candidate(MemberAddress address) => Remote(address);

    /// <summary>Connections to a node that is not, or no longer, reached through a member.
    /// </summary>
    public Peer NewPeer(MemberAddress address, PeerContact? known = null)
    {
        Hello MyHello(ChannelKind kind) => node.Hello(kind, address.NodeId);
        return new Peer(
            address, MyHello, known ?? new PeerContact(((IMemberHost)node).Clock, node.Lately),
            logger, node.Versions.Heard, node.Meters);
    }

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
    /// <remarks>Hazard 45: the engine does not end its members.</remarks>
    public void Dispose()
    {
        Forget();
        _turn.Dispose();
    }

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

    private Basis Wanted()
    {
        var notice = notices.Current;
        var (index, source) = history.Latest;
        return new Basis(
            source, notice, notice.LetsCount(index) ? source : source.Without(self.NodeId));
    }

    // A member gets the entry that removes it only once that is committed (RemoteMember).
    private void NoticeRemoval(bool wasMember)
    {
        var (index, configuration) = history.Latest;
        if (wasMember && !configuration.IsEmpty && !configuration.Contains(self.NodeId))
        {
            notices.Remove(index);
        }
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
            // At a new address it is another object, which the engine takes for the old one; what
            // is known of the node itself goes on being true.
            if (!_remotes.TryGetValue(address.NodeId, out var remote) || remote.Address != address)
            {
                remote = NewRemote(address, remote?.Peer.Contact);
                _remotes[address.NodeId] = remote;
                node.Versions.Others(_remotes.Keys);
            }

            return remote;
        }
    }

    private RemoteMember NewRemote(MemberAddress address, PeerContact? known = null) =>
        new(address, NewPeer(address, known), node);

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

    /// <summary>What the engine's members were made from.</summary>
    private sealed record Basis(
        Configuration Source, MembershipNotice Notice, Configuration Effective);
}
