namespace Whistle.Agent.Settings;

/// <summary>Where a process may die; a test makes it die there.</summary>
enum RunnerStep
{
    BeforeIntent,
    AfterIntent,
    AfterAction,
    AfterResult,
    AfterReport,
    AfterForgetting,
}
