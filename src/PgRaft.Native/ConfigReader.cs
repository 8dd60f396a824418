// Takes the settings over from C: copies every string, checks every value.
// Threading: the worker's main thread. Failure: PgraftException, AbiMismatch or BadArgument.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Hosting;
using PgRaft.Server.Http;
using PgRaft.Server.Requests;

namespace PgRaft.Native;

internal static unsafe class ConfigReader
{
    public static HostOptions Read(PgraftConfig* config)
    {
        CheckAbi(config);
        string address = CText.Read(config->Address);
        var options = new HostOptions
        {
            Node = new NodeOptions
            {
                ClusterId = CText.Read(config->ClusterId),
                Self = new MemberAddress(config->NodeId, address, config->Port),
                ListenAddress = CText.Read(config->ListenAddress) is { Length: > 0 } listen
                    ? listen
                    : address,
                DataDirectory = CText.Read(config->DataDir),
                InitialCluster = MemberSyntax.ParseInitialCluster(
                    CText.Read(config->InitialCluster), config->NodeId),
                ElectionTimeoutMs = config->ElectionTimeoutMs,
                HeartbeatIntervalMs = config->HeartbeatIntervalMs,
                Version = CText.Read(config->Version),
                Runtime = ReadRuntime(config),
            },
            MaxValueBytes = config->MaxValueSizeBytes,
            Debug = config->Debug != 0,
            Http = new HttpOptions(
                config->MetricsEnabled != 0,
                CText.Read(config->MetricsAddress),
                config->MetricsPort),
            Findings = ReadFindings(config),
            Answers = ReadAnswers(config),
        };
        return options.Checked();
    }

    public static void CheckAbi(PgraftConfig* config)
    {
        if (config->AbiVersion != Abi.Version || config->StructBytes != sizeof(PgraftConfig))
        {
            throw new PgraftException(
                StatusCode.AbiMismatch,
                "the extension and its core library do not belong together",
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The core has ABI version {Abi.Version}, the extension {config->AbiVersion}."),
                "Install both from the same build.");
        }
    }

    private static Finding[] ReadFindings(PgraftConfig* config)
    {
        var findings = new Finding[config->FindingsCount];
        for (int i = 0; i < findings.Length; i++)
        {
            var finding = config->Findings[i];
            findings[i] = new Finding(
                CText.Read(finding.Subject), null, CText.Read(finding.Severity),
                CText.Read(finding.Text), CText.Read(finding.Advice));
        }

        return findings;
    }

    public static AnswerTimes ReadAnswers(PgraftConfig* config) => new(
        0, 0, config->QuorumSinceUs, config->LiveMembersSinceUs, config->MayActSinceUs);

    private static RuntimeOptions ReadRuntime(PgraftConfig* config) => new()
    {
        SnapshotIntervalEntries = config->SnapshotIntervalEntries,
        MaxLogEntries = config->MaxLogEntries,
        BatchSizeEntries = config->BatchSizeEntries,
        MaxBatchDelayMs = config->MaxBatchDelayMs,
        CompactionThresholdRevisions = config->CompactionThresholdRevisions,
    };
}
