using Whistle.Data;

using Xunit;

namespace Whistle.Tests.State;

/// <summary>
/// A database keeps the checksum of each migration that made it, and a server whose migrations read otherwise refuses to start on it. So
/// the text of a released migration never changes: a line here may be added, never edited. What a migration does in code is not covered.
/// </summary>
public sealed class MigrationTextTests
{
    const string Released =
        """
        ingest 0 347de68d8b509bce5f187d2822695c5a
        ingest 1 5770d4ab5ae4763038ce788f102a894f
        ingest 2 f24bbba179377a1d2feb1b998340638a
        ingest 3 c55032053a681cf85092d4c6eda5e271
        ingest 4 42c4fb92211f61661381384474847b82
        people 0 0d36c4552ee05600117fee11bff40cda
        people 1 591c54eb2aea5663f4ab91be036effc1
        people 2 009d3bfbfe9a070f813c7842faffbdf1
        ingest-series 0 eda3fcc0a26e0cbe793f43eb23aaa665
        detectors 0 64baf7cdd6263c414b46176af449b36a
        detectors 1 a418720cbbf6ad6e3953dbbf4da2580c
        incidents 0 7c315d9689f13d9b28b7873ec19807c1
        incidents 1 a8ce1ead1af86ba92cfacc46f81b3069
        incidents 2 2e16c864df2b237715ee2785c17266ca
        incidents 3 ffc8a64caf77dfc0e95fc398dfcd2fc9
        incidents 4 a201dc950443760667cc102c823ebf0d
        remediation 0 92ad18c7b52e7b474ece979c0365477a
        remediation 1 6a0f308b744b01bb90018cf1491d971a
        remediation 2 0951d80eeb6a1da50f654d72a3a57dd8
        remediation 3 0804286e0c516c239b67ba91587d6afd
        remediation 4 7d721c08235365586016f0374b1559ff
        remediation 5 b65d076612ceca39ab7cd4cc4d119dae
        remediation 6 b8acede8a72dd0f71013bde4c1bb00da
        control 0 6b860a375d6c37b33941ab89db8099b1
        control 1 21b62c71281c71fd94e2a3f70d1696a6
        control 2 a7b77bcdce7e232cbbae62270367838c
        control 3 cfdae3acfef79359deef6aee49ed0949
        alerting 0 280099bdecec944e86c938d16c8a1be6
        alerting 1 58bf622ffc652dcdb5a4b87db16179a0
        reserve 0 abe90d168676c3d5e8dce0a20b738f65
        audit 0 6ca8e7b84805acf7a032f30ba43f2a7f
        leases 0 26d84bcd40b3e92211839e533140aef0
        jobs 0 90aafc1abd8ac78f7644465ce1ce81fa
        """;

    [Fact]
    public void The_text_of_a_released_migration_never_changes() => Assert.Equal(
        Released.ReplaceLineEndings("\n").Split('\n'),
        StateStages.All.SelectMany(s => s.Scripts.Select((script, number) => $"{s.Stage} {number} {script.Checksum}")));
}
