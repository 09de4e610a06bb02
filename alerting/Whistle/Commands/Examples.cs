using System.Collections.Frozen;
using System.CommandLine;

namespace Whistle.Commands;

/// <summary>What one would type, for every <c>--help</c>.</summary>
static class Examples
{
    public static readonly FrozenDictionary<string, string[]> ByPath = new Dictionary<string, string[]>
    {
        [""] = ["whistle demo", "whistle serve", "whistle alerts", "whistle incidents --output wide", "source <(whistle completion bash)"],
        ["serve"] =
        [
            "whistle serve", "whistle serve --data /var/lib/whistle --listen http://127.0.0.1:9480",
                "whistle serve --no-agent --rules my-rules/",
        ],
        ["demo"] = ["whistle demo", "whistle demo --fast", "whistle demo --nodes 1000 --seed 7"],
        ["query"] =
        [
            "whistle query up", "whistle query 'node_filesystem_avail_bytes / node_filesystem_size_bytes'",
            "whistle query 'rate(node_cpu_seconds_total{mode=\"user\"}[5m])' --range 1h --step 5m --output csv",
        ],
        ["alerts"] = ["whistle alerts", "whistle alerts --all --output csv", "whistle alerts --json"],
        ["incidents"] = ["whistle incidents", "whistle incidents --all --output wide", "whistle incidents ID"],
        ["incidents acknowledge"] = ["whistle incidents acknowledge ID --for 2h"],
        ["incidents release"] = ["whistle incidents release ID"],
        ["runs list"] = ["whistle runs list", "whistle runs list --all --output csv"],
        ["runs show"] = ["whistle runs show RUN", "whistle runs show RUN --instants"],
        ["runs explain"] = ["whistle runs explain RUN"],
        ["runs approve"] = ["whistle runs approve RUN", "whistle runs approve RUN --plan HASH --for 30m"],
        ["runs done"] = ["whistle runs done RUN STEP --note 'cable replaced'"],
        ["runs cancel"] = ["whistle runs cancel RUN --reason 'done by hand'"],
        ["rules list"] = ["whistle rules list", "whistle rules list --output csv"],
        ["rules check"] = ["whistle rules check", "whistle rules check my-rules/"],
        ["rules test"] = ["whistle rules test my-rules/tests.yaml"],
        ["runbooks list"] = ["whistle runbooks list"],
        ["runbooks check"] = ["whistle runbooks check my-runbook.yaml"],
        ["runbooks explain"] = ["whistle runbooks explain my-runbook.yaml --label node=node-7 --label mountpoint=/var"],
        ["runbooks test"] = ["whistle runbooks test my-runbook.yaml cases.yaml"],
        ["runbooks schema"] = ["whistle runbooks schema > runbook.schema.json"],
        ["runbooks replay"] = ["whistle runbooks replay", "whistle runbooks replay --from 7d --to 1d --output csv"],
        ["tickets"] = ["whistle tickets", "whistle tickets 1", "whistle tickets --json"],
        ["tickets comment"] = ["whistle tickets comment 1 'which of these may go?'"],
        ["tickets move"] = ["whistle tickets move 1 waiting-on-customer --remark 'asked the owner'"],
        ["tenants list"] = ["whistle tenants list", "whistle tenants list --archived"],
        ["tenants add"] = ["whistle tenants add acme --name 'ACME Corp' --contact ops@acme.example --notes 'Support until 18:00'"],
        ["tenants show"] = ["whistle tenants show acme"],
        ["tenants rename"] = ["whistle tenants rename acme 'ACME Holding'"],
        ["tenants edit"] = ["whistle tenants edit acme --contact ops@acme.example --contact +49-30-1234"],
        ["tenants limit"] = ["whistle tenants limit acme --series 50000 --samples 20000", "whistle tenants limit acme --none"],
        ["tenants archive"] = ["whistle tenants archive acme"],
        ["tenants unarchive"] = ["whistle tenants unarchive acme"],
        ["clusters list"] = ["whistle clusters list", "whistle clusters list --tenant acme --output csv"],
        ["clusters add"] = ["whistle clusters add prod-1 --tenant acme --label zone=eu-1 --label provider=bare-metal"],
        ["clusters show"] = ["whistle clusters show prod-1 --tenant acme"],
        ["clusters rename"] = ["whistle clusters rename prod-1 'Shop, Frankfurt' --tenant acme"],
        ["clusters edit"] = ["whistle clusters edit prod-1 --tenant acme --notes 'moves in May'"],
        ["clusters archive"] = ["whistle clusters archive prod-1 --tenant acme"],
        ["clusters unarchive"] = ["whistle clusters unarchive prod-1 --tenant acme"],
        ["nodes list"] = ["whistle nodes list", "whistle nodes list --cluster prod-1 --output wide", "whistle nodes list --archived"],
        ["nodes show"] = ["whistle nodes show node-7 --cluster prod-1"],
        ["nodes archive"] = ["whistle nodes archive node-7 --cluster prod-1"],
        ["nodes unarchive"] = ["whistle nodes unarchive node-7 --cluster prod-1"],
        ["agents rotate"] = ["whistle agents rotate --cluster prod-1", "whistle agents rotate --cluster prod-1 --node node-7"],
        ["agents list"] = ["whistle agents list", "whistle agents list --output csv"],
        ["agents add"] =
        [
            "whistle agents add --cluster prod-1 --node node-7 > node-7.token", "whistle agents add --cluster prod-2",
            "whistle agents add --cluster prod-1 --node node-7 --replace > node-7.token",
        ],
        ["agents revoke"] = ["whistle agents revoke --cluster prod-1 --node node-7"],
        ["agents join-token"] = ["whistle agents join-token --cluster prod-1 --uses 50 --for 24h"],
        ["agents join-tokens"] = ["whistle agents join-tokens"],
        ["agents revoke-join-token"] = ["whistle agents revoke-join-token 0123456789AB"],
        ["people list"] = ["whistle people list", "whistle people list --output csv"],
        ["people invite"] =
        [
            "whistle people invite alice --role admin --all-tenants", "whistle people invite --role operator --tenant shop --for 2d",
        ],
        ["people invitations"] = ["whistle people invitations"],
        ["people uninvite"] = ["whistle people uninvite 0123456789AB"],
        ["people grant"] = ["whistle people grant alice --role operator --tenant shop --cluster prod-1"],
        ["people revoke"] = ["whistle people revoke alice --role operator --tenant shop --cluster prod-1"],
        ["people disable"] = ["whistle people disable alice"],
        ["people enable"] = ["whistle people enable alice"],
        ["people reset"] = ["whistle people reset alice"],
        ["tokens list"] = ["whistle tokens list"],
        ["tokens add"] = ["whistle tokens add --name grafana --role viewer --tenant shop > grafana.token"],
        ["tokens revoke"] = ["whistle tokens revoke 0123456789AB"],
        ["sessions list"] = ["whistle sessions list", "whistle sessions list --output wide"],
        ["sessions revoke"] = ["whistle sessions revoke 0123456789AB"],
        ["audit list"] =
        [
            "whistle audit list", "whistle audit list --since 24h --actor ann --output wide",
            "whistle audit list --action read --tenant acme",
        ],
        ["audit verify"] = ["whistle audit verify", "whistle audit verify --head 1234:HASH"],
        ["audit export"] = ["whistle audit export > audit.jsonl", "whistle audit export --since 720h > november.jsonl"],
        ["state copy"] =
        [
            "whistle state copy --from sqlite --to postgres --database-file /etc/whistle/database",
            "whistle state copy --from sqlite --to postgres --data /var/lib/whistle --config /etc/whistle/appsettings.json",
        ],
        ["jobs list"] = ["whistle jobs list", "whistle jobs list --output wide"],
        ["jobs run"] = ["whistle jobs run alert-retention"],
        ["backup create"] = ["whistle backup create /var/backups/whistle/1"],
        ["backup verify"] = ["whistle backup verify /var/backups/whistle/1"],
        ["backup restore"] = ["whistle backup restore /var/backups/whistle/1 --data /var/lib/whistle --replace"],
        ["health"] = ["whistle health", "whistle health --json"],
        ["login"] = ["whistle login"],
        ["logout"] = ["whistle logout --all"],
        ["simulate"] = ["whistle simulate --years 1", "whistle simulate --seed 42 --trace"],
        ["data check"] = ["whistle data check --data /var/lib/whistle"],
        ["data repair"] = ["whistle data repair --data /var/lib/whistle"],
        ["completion"] =
        [
            "source <(whistle completion bash)", "whistle completion zsh > \"${fpath[1]}/_whistle\"",
            "whistle completion fish > ~/.config/fish/completions/whistle.fish",
        ],
        ["pause add"] = ["whistle pause add --node node-7 --reason 'new disk' --for 2h"],
        ["pause list"] = ["whistle pause list"],
        ["pause end"] = ["whistle pause end 1"],
        ["kill-switch on"] = ["whistle kill-switch on", "whistle kill-switch on --reason 'odd repairs'"],
        ["kill-switch off"] = ["whistle kill-switch off --reason 'looked at'"],
        ["kill-switch status"] = ["whistle kill-switch status"],
        ["mode list"] = ["whistle mode list"],
        ["mode set"] = ["whistle mode set approve --cluster prod-1 --runbook node-disk-filling"],
        ["windows list"] = ["whistle windows list"],
        ["windows add"] =
        [
            "whistle windows add --recurrence 'FREQ=WEEKLY;BYDAY=SA,SU' --start 2026-01-03T22:00 --for 4h --time-zone Europe/Berlin",
        ],
        ["windows remove"] = ["whistle windows remove 1"],
        ["freezes list"] = ["whistle freezes list"],
        ["freezes add"] = ["whistle freezes add --reason 'the fair' --for 72h"],
        ["freezes end"] = ["whistle freezes end 1"],
    }.ToFrozenDictionary();

    /// <summary>A group of verbs has the first of each of them.</summary>
    public static IEnumerable<string> Of(Command command) => ByPath.TryGetValue(CommandLine.PathOf(command), out var own) ? own
        : command.Subcommands.SelectMany(c => Of(c).Take(1));
}
