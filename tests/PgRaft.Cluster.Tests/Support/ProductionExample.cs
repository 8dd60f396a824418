// The operations guide's complete production example, as it stands there (production.conf).
//
// Threading: no state. Failure: a file that has lost or gained a setting fails the test.

using System.Globalization;

namespace PgRaft.Cluster.Tests.Support;

internal static class ProductionExample
{
    /// <summary>The network its addresses are of.</summary>
    public const string Subnet = "10.0.1.";

    private const int Count = 18;

    /// <summary>The settings of the guide's node 1, by name.</summary>
    public static Dictionary<string, string> Settings()
    {
        var settings = File
            .ReadLines(Path.Combine(AppContext.BaseDirectory, "production.conf"))
            .Select(line => line.Split('#')[0].Split('=', 2))
            .Where(parts => parts.Length == 2)
            .ToDictionary(parts => parts[0].Trim(), parts => parts[1].Trim());
        Assert.Equal(Count, settings.Count);
        return settings;
    }

    /// <summary>The same for another node: "repeat with different node_id, address and port".
    /// </summary>
    public static Dictionary<string, string> SettingsOf(int nodeId)
    {
        var settings = Settings();
        settings["pgraft.node_id"] = nodeId.ToString(CultureInfo.InvariantCulture);
        settings["pgraft.address"] = $"'{AddressOf(nodeId)}'";
        settings["pgraft.port"] = PortOf(nodeId).ToString(CultureInfo.InvariantCulture);
        return settings;
    }

    public static string AddressOf(int nodeId)
    {
        return string.Create(CultureInfo.InvariantCulture, $"{Subnet}{10 + nodeId}");
    }

    public static int PortOf(int nodeId)
    {
        return 7000 + nodeId;
    }
}
