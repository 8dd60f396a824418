// Power failure at every operation of a workload in turn, with everything, nothing or a random part
// of what was not synced surviving, and again while the log is being recovered.
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class LogPowerFailureTests
{
    private const int MaxSteps = 2000;

    public static TheoryData<int, int> Runs()
    {
        var runs = new TheoryData<int, int>();
        for (int seed = 1; seed <= 6; seed++)
        {
            foreach (Survival survival in Enum.GetValues<Survival>())
            {
                runs.Add(seed, (int)survival);
            }
        }

        return runs;
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public async Task What_is_recovered_is_a_state_the_log_had_and_nothing_confirmed_is_lost(
        int seed, int survival)
    {
        int step = 1;
        for (; step < MaxSteps; step++)
        {
            var disk = new SimulatedDisk { PowerOffAtStep = step };
            var model = new LogModel(disk, new Random(seed));
            await model.RunAsync();
            var random = new Random((seed * 1000) + step);
            SimulatedDisk rebooted = disk.Reboot((Survival)survival, random);
            await model.CheckAsync(rebooted, $"seed {seed}, {(Survival)survival}, step {step}");
            if (!disk.IsOff)
            {
                break;
            }
        }

        Assert.InRange(step, 30, MaxSteps - 1);
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    public async Task A_second_power_failure_during_recovery_changes_nothing(int seed)
    {
        for (int step = 10; step < 200; step += 7)
        {
            var disk = new SimulatedDisk { PowerOffAtStep = step };
            var model = new LogModel(disk, new Random(seed));
            await model.RunAsync();
            for (int second = 1; second <= 6; second++)
            {
                var random = new Random((seed * 1000) + (step * 10) + second);
                SimulatedDisk rebooted = disk.Reboot(Survival.Random, random);
                rebooted.PowerOffAtStep = second;
                TryOpen(rebooted, model);
                SimulatedDisk twice = rebooted.Reboot(Survival.Random, random);
                await model.CheckAsync(twice, $"seed {seed}, step {step}, second {second}");
            }
        }
    }

    private static void TryOpen(SimulatedDisk disk, LogModel model)
    {
        try
        {
            SegmentedLog.Open(LogModel.OptionsOn(disk), model.BaseIndex, model.BaseTerm).Dispose();
        }
        catch (PgraftException) when (disk.IsOff)
        {
        }
    }
}
