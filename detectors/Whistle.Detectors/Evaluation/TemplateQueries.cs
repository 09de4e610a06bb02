using Whistle.Detectors.Expressions;
using Whistle.Detectors.Reading;
using Whistle.Detectors.Rules;
using Whistle.Detectors.Templates;
using Whistle.Inventory;
using Whistle.PromQL;

namespace Whistle.Detectors.Evaluation;

/// <summary>
/// Answers what the templates of one rule query in an evaluation, each query once. Like Prometheus it reads the evaluation's instant, which
/// a query offset does not move. What is asked for an element of a tenant is asked of that tenant's series and of those of
/// no tenant: the text is that tenant's to read.
/// </summary>
sealed class TemplateQueries(PromQLEngine engine, DateTimeOffset at)
{
    // A template of an alert is a few lines for a person; past this many it is rather a mistake, and would cost the group its evaluation.
    const int Most = 1000;

    readonly Dictionary<string, Dictionary<string, QueryAnswer>> _answers = [];

    public TemplateData Data(Element element) => new(element.Labels, element.Value, Answers(element));

    /// <summary>
    /// Asks all that the rule's texts need to be rendered for the elements. Without an answer a label would be another and the alert with
    /// it, so that fails the rule; an annotation says why it has none.
    /// </summary>
    public async ValueTask PrepareAsync(Rule rule, IReadOnlyList<Element> elements, CancellationToken cancellation)
    {
        await PrepareAsync(rule.Labels, elements, AskAsync, cancellation);
        if (rule is AlertRule alert)
            await PrepareAsync(alert.Annotations, elements, TryAskAsync, cancellation);
    }

    async ValueTask PrepareAsync(
        IEnumerable<TemplatedText> texts, IReadOnlyList<Element> elements,
        Func<string, string, CancellationToken, ValueTask<QueryAnswer>> ask,
        CancellationToken cancellation)
    {
        foreach (var text in texts.Where(t => t.Template.Queries))
        {
            foreach (var element in elements)
            {
                while (Needed(text.Template, Data(element)) is { } query)
                    Answers(element).Add(query, await ask(query, TenantOf(element), cancellation));
            }
        }
    }

    PromQLEngine Of(string tenant) => tenant.Length == 0 ? engine
        : engine.WithSource(all => new LimitedSource(all, matchers => ReadableSeries.OfTenant(tenant, matchers)));

    static string TenantOf(Element element) => element.Labels[Sender.TenantLabel];

    Dictionary<string, QueryAnswer> Answers(Element element)
    {
        if (!_answers.TryGetValue(TenantOf(element), out var answers))
            _answers.Add(TenantOf(element), answers = []);
        return answers;
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

    async ValueTask<QueryAnswer> TryAskAsync(string query, string tenant, CancellationToken cancellation)
    {
        try
        {
            return await AskAsync(query, tenant, cancellation);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            return new([], e.Message);
        }
    }

    async ValueTask<QueryAnswer> AskAsync(string query, string tenant, CancellationToken cancellation)
    {
        if (_answers[tenant].Count >= Most)
            throw new InvalidOperationException($"the templates of the rule ask more than {Most} different queries");
        try
        {
            var elements = await RuleExpression.Parse(query).EvaluateAsync(Of(tenant), at, cancellation);
            return new([.. elements.Select(e => new TemplateSample(e.Labels, e.Value))], null);
        }
        // What cannot be answered is no accident of the moment, and a text in labels too, as in Prometheus.
        catch (Exception e) when (e is PromQLException or InvalidOperationException)
        {
            return new([], e.Message);
        }
    }
}
