namespace Whistle.Remediation.Runbooks;

/// <summary>The keys that a runbook may have: what the readers take, and what the schema says.</summary>
static class RunbookKeys
{
    public static readonly string[] Runbook =
        ["name", "summary", "answers", "mode", "parameters", "gates", "steps", "verify", "page", "ticket", "ladder"];
    public static readonly string[] Answer = ["signal", "labels"];
    public static readonly string[] Gates =
    [
        "sustained", "freshness", "window", "maxConcurrent", "blastRadius", "stormCoolDown", "coolDown", "attempts", "backOff", "flapping",
    ];
    public static readonly string[] Scopes = ["node", "zone", "cluster", "tenant", "fleet"];
    public static readonly string[] BlastRadius = ["nodes", "percent"];
    public static readonly string[] Flapping = ["onsets", "within"];
    public static readonly string[] Windows = ["auto", "required", "ignored"];
    public static readonly string[] Step =
        ["name", "action", "wait", "task", "approval", "parameters", "timeout", "dryRun", "onFailure", "rollback"];
    public static readonly string[] StepKinds = ["action", "wait", "task", "approval"];
    public static readonly string[] Approvers = ["support", "customer"];
    public static readonly string[] OnFailure = ["stop", "continue"];
    public static readonly string[] Rollback = ["action", "parameters", "timeout", "expr"];
    public static readonly string[] Verify = ["within", "for", "expr"];
    public static readonly string[] Attach = ["attach"];
}
