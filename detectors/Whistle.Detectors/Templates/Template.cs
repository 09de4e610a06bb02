using Whistle.Telemetry;

namespace Whistle.Detectors.Templates;

/// <summary>A template does not parse; <paramref name="offset"/> counts characters from the template's start.</summary>
sealed class TemplateException(int offset, string message) : Exception(message)
{
    public int Offset => offset;
}

/// <summary>A template asks what its data has no answer to yet; whoever renders it may find it and render again.</summary>
sealed class QueryNeededException(string query) : Exception
{
    public string Query => query;
}

/// <summary>An element of a query's result.</summary>
sealed record TemplateSample(Labels Labels, double Value);

/// <summary>A query's result, or why there is none.</summary>
readonly record struct QueryAnswer(IReadOnlyList<TemplateSample> Samples, string? Error);

/// <summary>What a template may read: the element's labels and its value, and the answers to its queries.</summary>
sealed record TemplateData(Labels Labels, double Value, IReadOnlyDictionary<string, QueryAnswer>? Answers = null)
{
    /// <exception cref="QueryNeededException">It is not answered yet.</exception>
    public IReadOnlyList<TemplateSample> Answer(string query)
    {
        if (Answers is null || !Answers.TryGetValue(query, out var answer))
            throw new QueryNeededException(query);
        return answer.Error is null ? answer.Samples : throw new FormatException($"query: {answer.Error}");
    }
}

/// <summary>
/// Go's template language with Prometheus's functions, as alerts have them. Named templates (<c>define</c>) and what is for consoles only
/// are refused at load. Parsed once, rendered at each evaluation.
/// </summary>
sealed class Template
{
    readonly Statement _root;

    Template(Statement root, TemplateParser parsed) => (_root, ReadsValue, Queries) = (root, parsed.ReadsValue, parsed.Queries);

    /// <summary>The text may depend on more than the labels.</summary>
    public bool ReadsValue { get; }

    /// <summary>It uses the function <c>query</c>.</summary>
    public bool Queries { get; }

    /// <exception cref="TemplateException">The template does not parse, or names an unknown function or variable.</exception>
    public static Template Parse(string text)
    {
        var parser = new TemplateParser(text);
        return new(parser.Parse(), parser);
    }

    /// <summary>
    /// What cannot be rendered becomes an explanation in the text's place, as a broken annotation must not cost an alert.
    /// </summary>
    /// <exception cref="QueryNeededException">Only where it queries.</exception>
    public string Render(TemplateData data)
    {
        var scope = new Scope(data);
        try
        {
            _root.Run(scope);
            return scope.Text.ToString();
        }
        // A function that fails as nobody foresaw is no more than that: Prometheus catches panics here.
        catch (Exception e) when (e is not QueryNeededException)
        {
            return $"<error expanding template: {e.Message}>";
        }
    }
}
