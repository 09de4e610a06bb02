using Microsoft.AspNetCore.Components;

namespace Whistle.Web.Acts;

/// <summary>Something that a dialog asks about once before it is done.</summary>
public sealed record ActRequest
{
    public required string Title { get; init; }

    /// <summary>What will happen.</summary>
    public required string Text { get; init; }

    /// <summary>Shown below the text, such as the plan.</summary>
    public RenderFragment? Body { get; init; }

    /// <summary>What is to be filled in.</summary>
    public IReadOnlyList<ActField> Fields { get; init; } = [];

    /// <summary>A reason must be given; it is recorded.</summary>
    public bool NeedsReason { get; init; }

    /// <summary>A reason may be given: the act is too urgent to ask for one.</summary>
    public bool TakesReason { get; init; }

    /// <summary>What the text field is called where it is not a reason.</summary>
    public string ReasonLabel { get; init; } = "Reason";

    /// <summary>Empty where there is nothing to choose; the first is chosen at first, unless another is.</summary>
    public IReadOnlyList<ActChoice> Choices { get; init; } = [];

    public string ChoicesLabel { get; init; } = "";

    public string Chosen { get; init; } = "";

    /// <summary>How long it lasts; empty where it has no end.</summary>
    public IReadOnlyList<TimeSpan> Durations { get; init; } = [];

    /// <summary>The words on the button that does it.</summary>
    public required string Confirm { get; init; }

    public bool IsDangerous { get; init; }

    /// <summary>Whether it is dangerous with what is filled in; null where that makes no difference.</summary>
    public Func<IReadOnlyDictionary<string, string>, bool>? Endangers { get; init; }

    /// <summary>What is said once it is done.</summary>
    public required string Done { get; init; }

    /// <summary>
    /// Answers null, or why not and what to do. What begins with a field's name and a colon is said at that field.
    /// </summary>
    public required Func<ActInput, Task<string?>> Do { get; init; }
}

/// <param name="Name">By which a refusal and what is given name it.</param>
/// <param name="Lines">How many are shown; several where it may have several.</param>
/// <param name="IsNeeded">It cannot be empty.</param>
public sealed record ActField(
    string Name, string Label, string Value = "", string Help = "", int Lines = 1, bool IsNeeded = false, bool IsNumber = false,
    int MaxLength = 300);

public sealed record ActChoice(string Name, string Words, string Help = "");

/// <summary>What the person gave.</summary>
public sealed record ActInput(string Reason, string Choice, TimeSpan For)
{
    /// <summary>By their names, all that were asked for.</summary>
    public IReadOnlyDictionary<string, string> Fields { get; init; } = new Dictionary<string, string>();
}
