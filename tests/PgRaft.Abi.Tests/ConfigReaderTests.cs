using System.Runtime.InteropServices;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Native;
using PgRaft.Server.Http;
using PgRaft.Server.Requests;

using Xunit;

namespace PgRaft.Abi.Tests;

public sealed unsafe class ConfigReaderTests : IDisposable
{
    private readonly List<nint> _texts = [];
    private PgraftConfig _config;

    public ConfigReaderTests() => _config = new PgraftConfig
    {
        AbiVersion = Native.Abi.Version,
        StructBytes = (uint)sizeof(PgraftConfig),
        NodeId = 2,
        Port = 7002,
        ElectionTimeoutMs = 1000,
        HeartbeatIntervalMs = 100,
        SnapshotIntervalEntries = 10_000,
        MaxLogEntries = 1001,
        BatchSizeEntries = 102,
        MaxBatchDelayMs = 13,
        CompactionThresholdRevisions = 10_004,
        MaxValueSizeBytes = 5000,
        Debug = 1,
        MetricsEnabled = 1,
        MetricsPort = 9102,
        QuorumSinceUs = 31,
        LiveMembersSinceUs = 32,
        MayActSinceUs = 33,
        ClusterId = Text("c"),
        Address = Text("10.0.0.2"),
        ListenAddress = Text(string.Empty),
        DataDir = Text("/data"),
        InitialCluster = Text("1=10.0.0.1:7001,2=10.0.0.2:7002"),
        Version = Text("1.0"),
        MetricsAddress = Text("*"),
    };

    public void Dispose() => _texts.ForEach(Marshal.FreeCoTaskMem);

    [Fact]
    public void Every_setting_arrives_in_its_place()
    {
        var options = Read();
        Assert.Equal(new HttpOptions(true, "*", 9102), options.Http);
        Assert.Equal(
            (31L, 32L, 33L),
            (options.Answers.QuorumSinceUs, options.Answers.LiveMembersSinceUs,
                options.Answers.MayActSinceUs));
        Assert.Equal(new MemberAddress(2, "10.0.0.2", 7002), options.Node.Self);
        Assert.Equal(
            ("c", "10.0.0.2", "/data", "1.0"),
            (options.Node.ClusterId, options.Node.ListenAddress, options.Node.DataDirectory,
                options.Node.Version));
        Assert.Equal(
            new RuntimeOptions
            {
                SnapshotIntervalEntries = 10_000,
                MaxLogEntries = 1001,
                BatchSizeEntries = 102,
                MaxBatchDelayMs = 13,
                CompactionThresholdRevisions = 10_004,
            },
            options.Node.Runtime);
        Assert.Equal(
            (1000, 100, 5000, true, 2),
            (options.Node.ElectionTimeoutMs, options.Node.HeartbeatIntervalMs,
                options.MaxValueBytes, options.Debug, options.Node.InitialCluster.Count));
    }

    [Fact]
    public void A_listen_address_of_its_own_is_kept()
    {
        _config.ListenAddress = Text("*");
        Assert.Equal("*", Read().Node.ListenAddress);
    }

    [Fact]
    public void Every_finding_arrives_in_its_place()
    {
        Assert.Empty(Read().Findings);
        PgraftFinding[] findings =
        [
            new()
            {
                Subject = Text("pgraft.port"),
                Severity = Text("warning"),
                Text = Text("waits"),
                Advice = Text("Restart."),
            },
            new()
            {
                Subject = Text("pgraft.data_dir"),
                Severity = Text("notice"),
                Text = Text("inside"),
                Advice = Text("Move it."),
            },
        ];
        fixed (PgraftFinding* first = findings)
        {
            _config.Findings = first;
            _config.FindingsCount = findings.Length;
            Assert.Equal(
                [
                    new Finding("pgraft.port", null, "warning", "waits", "Restart."),
                    new Finding("pgraft.data_dir", null, "notice", "inside", "Move it."),
                ],
                Read().Findings);
        }
    }

    [Fact]
    public void Settings_of_another_ABI_are_not_read()
    {
        _config.AbiVersion++;
        Assert.Equal(StatusCode.AbiMismatch, Assert.Throws<PgraftException>(Read).Code);
        _config.AbiVersion--;
        _config.StructBytes++;
        Assert.Equal(StatusCode.AbiMismatch, Assert.Throws<PgraftException>(Read).Code);
    }

    [Fact]
    public void A_missing_text_is_an_empty_one_and_then_refused()
    {
        _config.ClusterId = null;
        var error = Assert.Throws<PgraftException>(Read);
        Assert.Contains("cluster_id", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_bad_founding_list_is_refused()
    {
        _config.InitialCluster = Text("1=10.0.0.1:7001");
        Assert.Equal(StatusCode.BadArgument, Assert.Throws<PgraftException>(Read).Code);
    }

    private Server.Hosting.HostOptions Read()
    {
        fixed (PgraftConfig* config = &_config)
            return ConfigReader.Read(config);
    }

    private byte* Text(string text)
    {
        nint copy = Marshal.StringToCoTaskMemUTF8(text);
        _texts.Add(copy);
        return (byte*)copy;
    }
}
