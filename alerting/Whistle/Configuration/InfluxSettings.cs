using Whistle.Actions.Files;
using Whistle.Alerting.Configuration;
using Whistle.Ingest.Influx;

namespace Whistle.Configuration;

/// <summary>Reads the section <c>InfluxDb</c>: one InfluxDB for all, and under <c>Others</c> those that have some clusters.</summary>
static class InfluxSettings
{
    const string Token = "Token";
    const string TokenFile = "TokenFile";

    /// <returns>Null where nothing is set; and the files that hold tokens, by the keys that name them.</returns>
    public static (InfluxOptions? Options, IReadOnlyDictionary<string, string> TokenFiles) Read(SettingsSection section, TimeSpan retention)
    {
        var files = new Dictionary<string, string>();
        var first = Endpoint(section, files, section.Name);
        var others = section.Section("Others");
        List<InfluxEndpoint> endpoints =
        [
            .. others.Names().Select(n => Endpoint(others.Section(n), files, $"{section.Name}:Others:{n}", withClusters: true))
                .OfType<InfluxEndpoint>(),
        ];
        if (first is null)
            return (null, files);
        var defaults = new InfluxOptions { Endpoints = [], Retention = retention };
        return (defaults with
        {
            Endpoints = [.. endpoints, first],
            RetryFor = section.Duration(nameof(InfluxOptions.RetryFor)) ?? defaults.RetryFor,
            WriteTime = section.Duration(nameof(InfluxOptions.WriteTime)) ?? defaults.WriteTime,
            AnswerTime = section.Duration(nameof(InfluxOptions.AnswerTime)) ?? defaults.AnswerTime,
            Gzip = section.Truth(nameof(InfluxOptions.Gzip)) ?? defaults.Gzip,
        }, files);
    }

    static InfluxEndpoint? Endpoint(SettingsSection section, Dictionary<string, string> files, string path, bool withClusters = false)
    {
        var url = section.Address(nameof(InfluxEndpoint.Url));
        var (token, file) = section.Secret(Token, TokenFile);
        if (file is not null)
            files[$"{path}:{TokenFile}"] = file;
        var endpoint = new InfluxEndpoint(url ?? new Uri("http://localhost"), section.Text(nameof(InfluxEndpoint.Bucket)) ?? "whistle")
        {
            Org = section.Text(nameof(InfluxEndpoint.Org)) ?? "",
            // Again for each use, so that a token that is replaced counts at once.
            Token = file is not null ? () => new SecretFile(file, SecretForm.Line("the token")).Read()
                : token is not null ? () => token
                : null,
            CaFile = section.Path(nameof(InfluxEndpoint.CaFile)),
            Clusters = withClusters ? section.Texts(nameof(InfluxEndpoint.Clusters)) ?? [] : [],
        };
        if (url is not null)
            return endpoint;
        // What is meant for it must not go elsewhere unsaid.
        if (section.IsGiven)
            section.Fail(
                nameof(InfluxEndpoint.Url), "the address of this InfluxDB is missing. Write it like https://influx.example.com:8086.");
        return null;
    }
}
