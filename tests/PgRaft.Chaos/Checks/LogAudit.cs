// Compares what clients were told of their writes with what is in the members' logs.
//
// - The same index holds the same entry on every member that has it.
// - An acknowledged append is at the index, and in the term, that its client was told.
// - What is certainly not done is not there, and what is unknown is there at most once; copies of
//   one request, which the core may make and the state machine recognises, count once.
//
// Values are unique, so an entry belongs to one call. Threading: any thread. Failure: what is wrong
// is given to the sink, with the two things that contradict each other.

using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using PgRaft.Chaos.Clients;
using PgRaft.Histories;

namespace PgRaft.Chaos.Checks;

internal sealed class LogAudit(Action<string> wrong)
{
    /// <summary>Ends the unique part of an appended entry's data.</summary>
    public const char ValueEnd = '|';

    private readonly record struct Entry(long Term, UInt128 Hash);

    private readonly record struct Place(long Index, string? Request);

    private readonly record struct Claim(string Value, bool IsAppend, long Index, long Term);

    private readonly Lock _gate = new();
    private readonly Dictionary<long, Entry> _entries = [];
    private readonly Dictionary<string, Place> _places = [];
    private readonly HashSet<string> _notDone = [];
    private List<Claim> _claims = [];
    private long _covered;
    private long _unseen;

    /// <summary>Acknowledged writes found in the log.</summary>
    public long Verified { get; private set; }

    /// <summary>Entries that were compacted on every member before they were read here.</summary>
    public long Unseen => Volatile.Read(ref _unseen);

    /// <summary>All entries up to this index have been seen, but for the unseen.</summary>
    public long Covered => Volatile.Read(ref _covered);

    /// <summary>A put, or a swap: whether or not it held, its entry is in the log.</summary>
    public void WriteEnded(string value, Outcome outcome)
    {
        Ended(new Claim(value, false, 0, 0), outcome);
    }

    /// <summary>An append in a term; its index counts if it is done.</summary>
    public void AppendEnded(string value, Outcome outcome, long index, long term)
    {
        Ended(new Claim(value, true, index, term), outcome);
    }

    /// <summary>An applied entry of a member's log, as pgraft_log_get_entry shows it.</summary>
    public void Observe(string member, long index, string json)
    {
        var hash = new UInt128(
            BitConverter.ToUInt64(SHA256.HashData(Encoding.UTF8.GetBytes(json))), 0);
        lock (_gate)
        {
            if (_entries.TryGetValue(index, out var known))
            {
                if (known.Hash != hash)
                {
                    wrong($"{member} has another entry at index {index} (term {known.Term} "
                        + $"elsewhere): {Short(json)}");
                }

                return;
            }

            Add(member, index, hash, json);
        }
    }

    /// <summary>No member has the entries before this index any more.</summary>
    public void AllCompactedBefore(long index)
    {
        lock (_gate)
        {
            while (_covered + 1 < index)
            {
                _unseen += _entries.ContainsKey(_covered + 1) ? 0 : 1;
                _covered++;
            }

            Cover();
        }
    }

    /// <summary>Checks the claims so far. All clients have stopped, and everything that is applied
    /// has been observed.</summary>
    public void Verify()
    {
        lock (_gate)
        {
            foreach (var claim in _claims)
            {
                Verify(claim);
            }

            _claims = [];
        }
    }

    private void Ended(Claim claim, Outcome outcome)
    {
        lock (_gate)
        {
            switch (outcome)
            {
                case Outcome.Ok:
                    _claims.Add(claim);
                    break;
                case Outcome.Failed when _places.TryGetValue(claim.Value, out var place):
                    wrong($"'{claim.Value}' was reported as not done and is at {place.Index}");
                    break;
                case Outcome.Failed:
                    _notDone.Add(claim.Value);
                    break;
            }
        }
    }

    private void Add(string member, long index, UInt128 hash, string json)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        _entries[index] = new Entry(root.GetProperty("term").GetInt64(), hash);
        Cover();
        if (ValueOf(root) is not { } value)
        {
            return;
        }

        var request = root.TryGetProperty("request", out var id) ? id.GetString() : null;
        if (!_places.TryAdd(value, new Place(index, request))
            && (request is null || _places[value].Request != request))
        {
            wrong($"'{value}' is in the log twice: at {_places[value].Index} and {index}");
        }

        if (_notDone.Contains(value))
        {
            wrong($"'{value}' was reported as not done and is at {index} of {member}");
        }
    }

    private void Cover()
    {
        while (_entries.ContainsKey(_covered + 1))
        {
            _covered++;
        }
    }

    private void Verify(Claim claim)
    {
        if (!_places.TryGetValue(claim.Value, out var place))
        {
            if (_unseen == 0)
            {
                wrong($"'{claim.Value}' was acknowledged and is not in the log");
            }
        }
        else if (claim.IsAppend && place.Index != claim.Index)
        {
            wrong($"'{claim.Value}' was acknowledged at {claim.Index} and is at {place.Index}");
        }
        else if (claim.IsAppend && _entries[place.Index].Term != claim.Term)
        {
            wrong($"'{claim.Value}' was asked for in term {claim.Term} and is in term "
                + $"{_entries[place.Index].Term}");
        }
        else
        {
            Verified++;
        }
    }

    private static string? ValueOf(JsonElement entry)
    {
        return entry.GetProperty("type").GetString() switch
        {
            "opaque" => ValueIn(entry.GetProperty("data").GetString()),
            "kv_put" or "kv_cas" when IsOfClients(entry) => entry.GetProperty("value").GetString(),
            _ => null,
        };
    }

    // What else is appended has no end of a value.
    private static string? ValueIn(string? data)
    {
        var end = data?.IndexOf(ValueEnd, StringComparison.Ordinal) ?? -1;
        return end < 0 ? null : data![..end];
    }

    private static bool IsOfClients(JsonElement write)
    {
        var key = write.GetProperty("key").GetString();
        return key?.StartsWith(KeySpace.Prefix, StringComparison.Ordinal) == true;
    }

    private static string Short(string json)
    {
        return json.Length > 200 ? $"{json[..200]}…" : json;
    }
}
