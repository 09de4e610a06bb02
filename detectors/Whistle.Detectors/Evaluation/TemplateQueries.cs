using Whistle.Detectors.Rules;
using Whistle.Detectors.Templates;
using Whistle.PromQL;

namespace Whistle.Detectors.Evaluation;

/// <summary>
/// Answers what the templates of one group evaluation query, each query once. Like Prometheus it reads the evaluation's instant, which a query
/// offset does not move.
/// </summary>
sealed class TemplateQueries(PromQLEngine engine, DateTimeOffset at)
{
    // A template of an alert is a few lines for a person; past this many it is rather a mistake, and would cost the group its evaluation.
    const int Most = 1000;

    readonly Dictionary<string, QueryAnswer> _answers = [];

    public TemplateData Data(Element element) => new(element.Labels, element.Value, _answers);

    /// <summary>Asks all that these texts need to be rendered for the elements.</summary>
    public async ValueTask PrepareAsync(IEnumerable<TemplatedText> texts, IReadOnlyList<Element> elements, CancellationToken cancellation)
    {
        foreach (var text in texts.Where(t => t.Template.Queries))
        {
            foreach (var element in elements)
            {
                while (Needed(text.Template, Data(element)) is { } query)
                    _answers.Add(query, await AskAsync(query, cancellation));
            }
        }
    }

    static string? Needed(Template template, TemplateData data)
    {
        try
        {
            template.Render(data);
            return null;
        }
        catch (QueryNeededException e)
        {
            return e.Query;
        }
    }

    async ValueTask<QueryAnswer> AskAsync(string query, CancellationToken cancellation)
    {
        if (_answers.Count >= Most)
            return new([], $"the templates of the group ask more than {Most} different queries");
        try
        {
            var elements = await RuleExpression.Parse(query).EvaluateAsync(engine, at, cancellation);
            return new([.. elements.Select(e => new TemplateSample(e.Labels, e.Value))], null);
        }
        catch (Exception e) when (e is PromQLException or InvalidOperationException)
        {
            return new([], e.Message);
        }
    }
}
