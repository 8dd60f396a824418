using System.Text;

using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public sealed class KvRequestTests : IAsyncLifetime
{
    private TestHost _host = null!;
    private TestClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync();
        _client = _host.Connect();
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _host.DisposeAsync();
    }

    [Fact]
    public async Task A_value_that_was_put_is_read_back()
    {
        Assert.Equal(1L, (await PutAsync("k", "v")).Value);
        Assert.Equal("v", (await _client.CallAsync(RequestCode.KvGet, "k", true)).Value);
        Assert.Null((await _client.CallAsync(RequestCode.KvGet, "other", true)).Value);
    }

    [Fact]
    public async Task Delete_tells_whether_the_key_existed()
    {
        await PutAsync("k", "v");
        Assert.Equal(true, (await _client.CallAsync(RequestCode.KvDelete, "k")).Value);
        Assert.Equal(false, (await _client.CallAsync(RequestCode.KvDelete, "k")).Value);
        Assert.Equal(false, (await _client.CallAsync(RequestCode.KvExists, "k")).Value);
    }

    [Fact]
    public async Task Compare_and_set_gives_the_new_revision_or_null()
    {
        Assert.Equal(1L, (await CasAsync("k", 0, "1")).Value);
        Assert.Null((await CasAsync("k", 0, "2")).Value);
        Assert.Equal(2L, (await CasAsync("k", 1, "2")).Value);
        Assert.Null((await CasAsync("k", 1, "3")).Value);
        Assert.Equal("2", (await _client.CallAsync(RequestCode.KvGet, "k", true)).Value);
    }

    [Fact]
    public async Task Compare_and_set_refuses_what_put_refuses_and_a_negative_revision()
    {
        Assert.Equal(StatusCode.BadArgument, (await CasAsync("", 0, "v")).Status);
        Assert.Equal(StatusCode.TooLarge, (await CasAsync(new string('k', 4097), 0, "v")).Status);
        Assert.Equal(StatusCode.TooLarge, (await CasAsync("k", 0, new string('v', 4097))).Status);
        var negative = await CasAsync("k", -1, "v");
        Assert.Equal(StatusCode.BadArgument, negative.Status);
        Assert.Equal("expected_mod_revision must not be negative", negative.Message);
        Assert.Equal(0, _host.Node.Proposals);
    }

    [Fact]
    public async Task Keys_are_listed_by_prefix_in_byte_order()
    {
        foreach (string key in new[] { "b/2", "a/9", "b/10", "c" })
            await PutAsync(key, "v");
        var answer = await _client.CallAsync(RequestCode.KvListKeys, "b/");
        Assert.Equal([["b/10"], ["b/2"]], answer.Rows);
        Assert.Empty((await _client.CallAsync(RequestCode.KvListKeys, "zz")).Rows);
    }

    [Fact]
    public async Task A_long_listing_comes_from_a_thread_of_its_own_and_is_complete()
    {
        for (int i = 0; i < 10_001; i++)
        {
            var command = CommandEncoder.KvPut(Encoding.UTF8.GetBytes($"key{i:00000}"), []);
            await _host.Node.ApplyAsync(command, 0, TestContext.Current.CancellationToken);
        }

        var answer = await _client.CallAsync(RequestCode.KvListKeys, string.Empty);
        Assert.Equal(10_001, answer.Rows.Length);
        Assert.Equal("key10000", answer.Rows[^1][0]);
    }

    [Fact]
    public async Task A_linearizable_read_waits_for_the_barrier_and_a_local_one_does_not()
    {
        await PutAsync("k", "old");
        int barriers = 0;
        _host.Node.OnReadBarrier = async token =>
        {
            barriers++;
            await _host.Node.ApplyAsync(CommandEncoder.KvPut("k"u8, "new"u8), 0, token);
            return 2;
        };
        Assert.Equal("old", (await _client.CallAsync(RequestCode.KvGet, "k", false)).Value);
        Assert.Equal(0, barriers);
        Assert.Equal("new", (await _client.CallAsync(RequestCode.KvGet, "k", true)).Value);
    }

    [Theory]
    [InlineData((int)RequestCode.KvExists)]
    [InlineData((int)RequestCode.KvListKeys)]
    public async Task Other_reads_pass_the_barrier_too(int code)
    {
        int barriers = 0;
        _host.Node.OnReadBarrier = _ => new(++barriers);
        Assert.Equal(StatusCode.Ok, (await _client.CallAsync((RequestCode)code, "k")).Status);
        Assert.Equal(1, barriers);
    }

    [Fact]
    public async Task Limits_are_checked_before_anything_enters_the_log()
    {
        var empty = await PutAsync(string.Empty, "v");
        Assert.Equal(
            (StatusCode.BadArgument, "key must not be empty"), (empty.Status, empty.Message));

        var key = await PutAsync(new string('k', 4097), "v");
        Assert.Equal((StatusCode.TooLarge, "key is too large"), (key.Status, key.Message));
        Assert.Equal("It has 4097 bytes; the limit is 4096 bytes.", key.Detail);

        var value = await PutAsync("k", new string('v', 4097));
        Assert.Equal((StatusCode.TooLarge, "value is too large"), (value.Status, value.Message));
        Assert.Contains("max_value_size", value.Hint, StringComparison.Ordinal);

        var lease = await _client.CallAsync(RequestCode.KvPut, "k", "v", 7L);
        Assert.Equal(
            (StatusCode.BadArgument, "lease 7 does not exist"), (lease.Status, lease.Message));
        Assert.Equal(0, _host.Node.Proposals);
    }

    [Fact]
    public async Task The_value_limit_follows_a_reload()
    {
        _host.Host.Reload(TestHost.Options(_host.Directory) with { MaxValueBytes = 1024 * 1024 });
        Assert.Equal(StatusCode.Ok, (await PutAsync("k", new string('v', 500_000))).Status);
        _host.Host.Reload(TestHost.Options(_host.Directory) with { MaxValueBytes = 1024 });
        Assert.Equal(StatusCode.TooLarge, (await PutAsync("k", new string('v', 1025))).Status);
        Assert.NotNull(_host.Node.Reloaded);
    }

    [Fact]
    public async Task Statistics_count_what_happened()
    {
        await PutAsync("a", "12");
        await PutAsync("b", "3");
        await _client.CallAsync(RequestCode.KvDelete, "b");
        await _client.CallAsync(RequestCode.KvGet, "a", false);
        var stats = await _client.CallAsync(RequestCode.KvGetStats);
        Assert.Equal([[1L, 3L, 3L, 0L, 2L, 1L, 1L, 0L, 0L]], stats.Rows);
    }

    private Task<Answer> CasAsync(string key, long expected, string value) =>
        _client.CallAsync(RequestCode.KvCas, key, expected, value);

    private Task<Answer> PutAsync(string key, string value) =>
        _client.CallAsync(RequestCode.KvPut, key, value, 0L);
}
