using Whistle.State;

namespace Whistle.Remediation.Control;

/// <summary>What transactions of this stage keep to themselves beyond a cluster.</summary>
static class StateScopes
{
    /// <summary>Kill switch, pauses, modes, windows, freezes and cancellations: no permit is given while one of them changes.</summary>
    public static readonly StateScope Brakes = StateScope.Of("brakes");

    /// <summary>The places that runs hold in the budgets of fleet and tenants: a permit counts them and takes one.</summary>
    public static readonly StateScope Budgets = StateScope.Of("budgets");
}
