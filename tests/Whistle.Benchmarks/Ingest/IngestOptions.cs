using System.Globalization;

namespace Whistle.Benchmarks.Ingest;

/// <summary>What <c>ingest</c> is told on the command line.</summary>
sealed record IngestOptions
{
    public const string Usage = """
        ingest [--quick] [--rounds N] [--series N] [--data-minutes M] [--rate SAMPLES_PER_SECOND] [--max-slices N] [--connections K]
               [--seed N] [--cores LIST] [--servers whistle,prometheus,victoriametrics] [--whistle PATH] [--whistle-args "..."]

        Takes each server in turn, in another order each round: --data-minutes of data at --rate, then --max-slices slices of 15 s as
        fast as the answers come. WHISTLE_TEST_PROMETHEUS and WHISTLE_TEST_VICTORIAMETRICS name the peers' programs.
        --quick is one round of 4 minutes of data at 75,000/s and takes about three minutes.
        """;

    public const int SliceSeconds = 15;

    public int Rounds { get; init; } = 3;

    public int Series { get; init; } = 150_000;

    public int DataMinutes { get; init; } = 30;

    /// <summary>Samples per second of the paced phase; 150,000 series in real time make 10,000.</summary>
    public int Rate { get; init; } = 30_000;

    public int MaxSlices { get; init; } = 30;

    public int Connections { get; init; } = 4;

    public int Seed { get; init; } = 1;

    /// <summary>As taskset takes them.</summary>
    public string Cores { get; init; } = "0,1";

    public IReadOnlyList<string> Servers { get; init; } = ["whistle", "prometheus", "victoriametrics"];

    public string Whistle { get; init; } = Path.Combine(AppContext.BaseDirectory, "whistle");

    public string WhistleArguments { get; init; } = "";

    public string PrometheusConfiguration { get; init; } = "/dev/null";

    public int Nodes => Math.Max(1, Series / NodeProfile.SeriesPerNode);

    public int PacedSlices => DataMinutes * 60 / SliceSeconds;

    /// <exception cref="ArgumentException">An option is unknown or lacks a value that makes sense.</exception>
    public static IngestOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new IngestOptions();
        for (var i = 0; i < arguments.Count; i++)
        {
            options = arguments[i] == "--quick"
                ? options with { Rounds = 1, DataMinutes = 4, Rate = 75_000, MaxSlices = 10 }
                : options.With(
                    arguments[i], i + 1 < arguments.Count ? arguments[++i] : throw new ArgumentException($"{arguments[i]} needs a value."));
        }

        return options;
    }

    IngestOptions With(string option, string value) => option switch
    {
        "--rounds" => this with { Rounds = Number(value) },
        "--series" => this with { Series = Number(value) },
        "--data-minutes" => this with { DataMinutes = Number(value) },
        "--rate" => this with { Rate = Number(value) },
        "--max-slices" => this with { MaxSlices = Number(value) },
        "--connections" => this with { Connections = Number(value) },
        "--seed" => this with { Seed = Number(value) },
        "--cores" => this with { Cores = value },
        "--servers" => this with { Servers = value.Split(',') },
        "--whistle" => this with { Whistle = value },
        "--whistle-args" => this with { WhistleArguments = value },
        _ => throw new ArgumentException($"The option {option} is unknown."),
    };

    static int Number(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
        ? number
        : throw new ArgumentException($"\"{text}\" is not a whole number above zero.");
}
