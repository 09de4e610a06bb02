using System.CommandLine;
using System.CommandLine.Completions;
using System.Text;

namespace Whistle.Commands;

/// <summary>Scripts with which a shell completes verbs, options and their values, made of the commands themselves.</summary>
static class CompletionCommand
{
    static readonly Argument<string> Shell = new Argument<string>("shell") { Description = "bash, zsh or fish." }.AcceptOnlyFromAmong(
        "bash", "zsh", "fish");

    public static Command Build()
    {
        var command = new Command("completion", "Prints a script with which a shell completes verbs and options.") { Shell };
        command.SetAction(arguments => Console.Out.Write(Script(arguments.GetValue(Shell)!, arguments.RootCommandResult.Command)));
        return command;
    }

    public static string Script(string shell, Command root)
    {
        Place[] places = [.. CommandLine.Tree(root).Where(c => !c.Command.Hidden).Select(c => Place.Of(c.Path, c.Command, root))];
        return shell switch
        {
            "bash" => Bash(places),
            "zsh" => Zsh(places),
            "fish" => Fish(places),
            _ => throw new ArgumentOutOfRangeException(nameof(shell), shell, null),
        };
    }

    static string Bash(Place[] places) => $$"""
        # Completion of whistle for bash, as `whistle completion bash` prints it.
        _whistle() {
            local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} at="" words="" i
            for ((i = 1; i < COMP_CWORD; i++)); do
                case "$at ${COMP_WORDS[i]}" in
                {{Paths(places)}}) at="$at ${COMP_WORDS[i]}" ;;
                esac
            done
            COMPREPLY=()
            case "$at $previous" in
        {{Lines(places.SelectMany(p => p.Options.Where(o => o.TakesValue).Select(o =>
            $"    {Names(p, o)}) COMPREPLY=($(compgen -W \"{string.Join(' ', o.Values)}\" -- \"$current\")); return ;;")))}}
            esac
            case "$at" in
        {{Lines(places.Select(p => $"    \"{At(p)}\") words=\"{Names(p)}\" ;;"))}}
            esac
            COMPREPLY=($(compgen -W "$words" -- "$current"))
        }
        complete -o bashdefault -o default -F _whistle whistle

        """;

    static string Zsh(Place[] places) => $$"""
        #compdef whistle
        # Completion of whistle for zsh, as `whistle completion zsh` prints it.
        _whistle() {
            local at="" i
            local -a verbs options
            for ((i = 2; i < CURRENT; i++)); do
                case "$at ${words[i]}" in
                {{Paths(places)}}) at="$at ${words[i]}" ;;
                esac
            done
            case "$at ${words[CURRENT-1]}" in
        {{Lines(places.SelectMany(p => p.Options.Where(o => o.TakesValue).Select(o =>
            $"    {Names(p, o)}) {(o.Values.Length > 0 ? $"compadd -- {string.Join(' ', o.Values)}" : "_files")}; return ;;")))}}
            esac
            case "$at" in
        {{Lines(places.Select(p => $"    \"{At(p)}\") verbs=({Described(p.Words)}) options=({Described(p.Options)}) ;;"))}}
            esac
            if [[ $PREFIX == -* ]]; then
                _describe -o option options
            elif ((${#verbs})); then
                _describe verb verbs
            else
                _files
            fi
        }
        if [[ $funcstack[1] == _whistle ]]; then _whistle "$@"; else compdef _whistle whistle; fi

        """;

    static string Fish(Place[] places) => $$"""
        # Completion of whistle for fish, as `whistle completion fish` prints it.
        function __whistle_at
            set -l at
            for word in (commandline -opc)[2..]
                contains -- (string join -- ' ' $at $word) {{string.Join(' ', places.Skip(1).Select(p => $"'{p.Path}'"))}}
                and set -a at $word
            end
            set -l path (string join -- ' ' $at)
            test "$path" = "$argv[1]"
        end
        {{Lines(places.SelectMany(p => p.Words.Select(w => $"{Complete(p)} -f -a {w.Name} -d '{Quoted(w.Description)}'")))}}
        {{Lines(places.SelectMany(p => p.Options.Select(o => $"{Complete(p)} {Described(o)}")))}}

        """;

    static string Complete(Place place) => $"complete -c whistle -n '__whistle_at \"{place.Path}\"'";

    static string Described(OptionWord option) => $"-l {option.Name.TrimStart('-')}{Value(option)} -d '{Quoted(option.Description)}'";

    static string Value(OptionWord option) =>
        !option.TakesValue ? "" : option.Values.Length == 0 ? " -r" : $" -x -a '{string.Join(' ', option.Values)}'";

    // As the scripts write where they are: each word with a space before it.
    static string At(Place place) => place.Path.Length == 0 ? "" : $" {place.Path}";

    static string Paths(Place[] places) => string.Join('|', places.Skip(1).Select(p => $"\"{At(p)}\""));

    static string Names(Place place, OptionWord option) =>
        string.Join('|', option.Aliases.Prepend(option.Name).Select(n => $"\"{At(place)} {n}\""));

    static string Names(Place place) => string.Join(' ', place.Words.Select(w => w.Name).Concat(place.Options.Select(o => o.Name)));

    static string Described(OptionWord[] options) => Described(options.Select(o => (o.Name, o.Description)));

    static string Described(IEnumerable<(string Name, string Description)> words) =>
        string.Join(' ', words.Select(w => $"'{w.Name}:{Quoted(w.Description).Replace(":", "\\:", StringComparison.Ordinal)}'"));

    static string Quoted(string text) => text.Replace("'", "'\\''", StringComparison.Ordinal);

    static string Lines(IEnumerable<string> lines) => new StringBuilder().AppendJoin('\n', lines).ToString();

    /// <summary>What can follow the words so far.</summary>
    sealed record Place(string Path, (string Name, string Description)[] Words, OptionWord[] Options)
    {
        public static Place Of(string path, Command command, Command root) => new(
            path,
            [
                .. command.Subcommands.Where(c => !c.Hidden).Select(c => (c.Name, First(c.Description))),
                .. command.Arguments.SelectMany(ValuesOf).Select(v => (v, "")),
            ],
            [.. command.Options.Concat(command == root ? [] : root.Options.Where(o => o.Recursive)).Where(o => !o.Hidden)
                .Select(OptionWord.Of)]);
    }

    sealed record OptionWord(string Name, string[] Aliases, string Description, bool TakesValue, string[] Values)
    {
        public static OptionWord Of(Option option) => new(
            option.Name, [.. option.Aliases.Where(a => a.StartsWith('-'))], First(option.Description),
                option.Arity.MinimumNumberOfValues > 0, ValuesOf(option));
    }

    static string[] ValuesOf(Symbol symbol) => [.. symbol.GetCompletions(CompletionContext.Empty).Select(c => c.Label)];

    // A shell has one line for it.
    static string First(string? description) => description?.Split(". ", 2)[0].TrimEnd('.') ?? "";
}
