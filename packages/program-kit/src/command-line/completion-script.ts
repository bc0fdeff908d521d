/**
 * Completion scripts for bash, zsh, fish and PowerShell. They are static: a shell completes without
 * starting the program, and the same words are in all of them. Every word in them comes from definitions, never
 * from users, and is quoted all the same.
 */
import { type CompletionState, completionStates, valueFlags } from './completion-words.ts'
import type { CommandsInfo } from './define-commands.ts'
import type { FlagDescription } from './flag-description.ts'

/** Shells that completions can be written for. */
export type Shell = 'bash' | 'zsh' | 'fish' | 'powershell'

const WRITERS: Readonly<
  Record<Shell, (program: string, states: readonly CompletionState[]) => string[]>
> = { bash, zsh, fish, powershell }

/** Without a reply readline completes files then, and escapes what is special in their names. */
const BASH_FILES = 'compopt -o default'

/** Writes the completion script of a program for one shell. */
export function completionScript(commands: CommandsInfo, shell: Shell): string {
  const lines = WRITERS[shell](commands.program, completionStates(commands))
  return `${lines.join('\n')}\n`
}

function bash(program: string, states: readonly CompletionState[]): string[] {
  const name = functionName(program)
  return [
    `# bash completion for ${program}`,
    `${name}() {`,
    '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="" next i',
    '  COMPREPLY=()',
    '  for ((i = 1; i < COMP_CWORD; i++)); do',
    '    case "${COMP_WORDS[i]}" in',
    ...takesValue(states, '((i++))'),
    '      -*) ;;',
    '      *)',
    '        next="${command:+$command }${COMP_WORDS[i]}"',
    ...commandStep(states),
    '        ;;',
    '    esac',
    '  done',
    '  case "$prev" in',
    ...valueFlags(states).map((flag) => {
      const reply =
        flag.completions.length > 0
          ? `${bashReply(flag.completions.map(quoted))}; `
          : flag.isPath
            ? `${BASH_FILES}; `
            : ''
      return `    ${flagNames(flag).join('|')}) ${reply}return ;;`
    }),
    '  esac',
    '  case "$command" in',
    ...states.map(({ command, words, flags, hasFiles }) => {
      const plain = words.map(({ word }) => word)
      const all = bashReply([...plain, ...flags.map(({ flag }) => `--${flag}`)])
      const reply = hasFiles
        ? `if [[ $cur == -* ]]; then ${all}; else ${bashReply(plain)}; ${BASH_FILES}; fi`
        : all
      return `    ${quoted(command)}) ${reply} ;;`
    }),
    '  esac',
    '}',
    `complete -F ${name} ${program}`,
  ]
}

function bashReply(words: readonly string[]): string {
  return `COMPREPLY=($(compgen -W ${quoted(words.join(' '))} -- "$cur"))`
}

function zsh(program: string, states: readonly CompletionState[]): string[] {
  const name = functionName(program)
  return [
    `#compdef ${program}`,
    `${name}() {`,
    '  local cur="${words[CURRENT]}" prev="${words[CURRENT-1]}" command="" next i',
    '  for ((i = 2; i < CURRENT; i++)); do',
    '    case "${words[i]}" in',
    ...takesValue(states, '((i++))'),
    '      -*) ;;',
    '      *)',
    '        next="${command:+$command }${words[i]}"',
    ...commandStep(states),
    '        ;;',
    '    esac',
    '  done',
    '  case "$prev" in',
    ...valueFlags(states).map((flag) => {
      const reply =
        flag.completions.length > 0
          ? `compadd -- ${flag.completions.map(quoted).join(' ')}; `
          : flag.isPath
            ? '_files; '
            : ''
      return `    ${flagNames(flag).join('|')}) ${reply}return ;;`
    }),
    '  esac',
    '  local -a choices',
    '  local files=0',
    '  case "$command" in',
    ...states.flatMap((state) => [
      `    ${quoted(state.command)})`,
      '      choices=(',
      ...describedWords(state).map(
        ([word, text]) => `        ${quoted(`${word.replaceAll(':', '\\:')}:${text}`)}`,
      ),
      `      )${state.hasFiles ? '; files=1' : ''} ;;`,
    ]),
    '  esac',
    `  _describe ${quoted(program)} choices`,
    '  (( ! files )) || _files',
    '}',
    // Sourced by hand the function has to be registered; found through fpath it is called at once.
    `if [ "$funcstack[1]" = "${name}" ]; then ${name} "$@"; else compdef ${name} ${program}; fi`,
  ]
}

function fish(program: string, states: readonly CompletionState[]): string[] {
  const name = functionName(program)
  const lines = [
    `# fish completion for ${program}`,
    `function ${name}_command`,
    '  set -l command ""',
    '  set -l skip 0',
    '  for word in (commandline -opc)[2..-1]',
    '    if test $skip = 1; set skip 0; continue; end',
    '    switch "$word"',
    `      case ${valueFlags(states).flatMap(flagNames).map(quoted).join(' ')}`,
    '        set skip 1',
    "      case '-*'",
    '      case "*"',
    '        set -l next (string trim -- "$command $word")',
    `        if contains -- "$next" ${commandNames(states).map(quoted).join(' ')}`,
    '          set command $next',
    '        end',
    '    end',
    '  end',
    '  echo $command',
    'end',
    `complete -c ${program} -f`,
  ]
  for (const { command, words, flags, hasFiles } of states) {
    const when = `-n ${quoted(`test "$(${name}_command)" = "${command}"`)}`
    if (hasFiles) lines.push(`complete -c ${program} ${when} -F`)
    for (const { word, description } of words) {
      lines.push(`complete -c ${program} ${when} -a ${quoted(word)} -d ${quoted(description)}`)
    }
    for (const { flag, short, value, completions, isPath, description } of flags) {
      const takes =
        value === undefined
          ? ''
          : completions.length > 0
            ? ` -x -a ${quoted(completions.join(' '))}`
            : isPath
              ? ' -r -F'
              : ' -x'
      const letter = short === undefined ? '' : ` -s ${short}`
      const about = ` -d ${quoted(description)}`
      lines.push(`complete -c ${program} ${when} -l ${quoted(flag)}${letter}${takes}${about}`)
    }
  }
  return lines
}

function powershell(program: string, states: readonly CompletionState[]): string[] {
  return [
    `# PowerShell completion for ${program}`,
    `Register-ArgumentCompleter -Native -CommandName ${psQuoted(program)} -ScriptBlock {`,
    '  param($wordToComplete, $commandAst, $cursorPosition)',
    '  # what may follow the words of a command, with what it does',
    '  $choices = @{',
    ...states.flatMap((state) => [
      `    ${psQuoted(state.command)} = [ordered]@{`,
      ...describedWords(state).map(([word, text]) => `      ${psQuoted(word)} = ${psQuoted(text)}`),
      '    }',
    ]),
    '  }',
    '  # flags that take a value, with the values to offer',
    '  $values = @{',
    ...valueFlags(states).flatMap((flag) => {
      const list = flag.completions.map(psQuoted).join(', ')
      return flagNames(flag).map((name) => `    ${psQuoted(name)} = @(${list})`)
    }),
    '  }',
    "  $command = ''",
    '  $flag = $null',
    '  foreach ($element in @($commandAst.CommandElements | Select-Object -Skip 1)) {',
    '    if ($element.Extent.EndOffset -ge $cursorPosition) { break }',
    '    $word = $element.Extent.Text',
    '    if ($null -ne $flag) { $flag = $null; continue }',
    '    if ($values.ContainsKey($word)) { $flag = $word; continue }',
    "    $next = ($command + ' ' + $word).Trim()",
    '    if ($choices.ContainsKey($next)) { $command = $next }',
    '  }',
    '  # without a result PowerShell offers files',
    '  if ($null -ne $flag) {',
    '    $values[$flag] | Where-Object { $_.StartsWith($wordToComplete) } | ForEach-Object {',
    "      [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)",
    '    }',
    '    return',
    '  }',
    '  $choices[$command].GetEnumerator() | Where-Object { $_.Key.StartsWith($wordToComplete) } | ForEach-Object {',
    "    [System.Management.Automation.CompletionResult]::new($_.Key, $_.Key, 'ParameterValue', $_.Value)",
    '  }',
    '}',
  ]
}

/** What may follow, each word once: PowerShell rejects a table with a key that is there twice. */
function describedWords({ words, flags }: CompletionState) {
  return [
    ...new Map([
      ...words.map(({ word, description }) => [word, description] as const),
      ...flags.map(({ flag, description }) => [`--${flag}`, description] as const),
    ]),
  ]
}

/** PowerShell takes typographic quotes for quotes; two of them are one. */
function psQuoted(text: string): string {
  return `'${text.replaceAll(/['\u2018-\u201B]/g, '$&$&')}'`
}

function takesValue(states: readonly CompletionState[], skip: string): string[] {
  const names = valueFlags(states).flatMap(flagNames)
  return names.length === 0 ? [] : [`      ${names.join('|')}) ${skip} ;;`]
}

function commandStep(states: readonly CompletionState[]): string[] {
  const names = commandNames(states).map(quoted).join('|')
  return names === '' ? [] : [`        case "$next" in ${names}) command="$next" ;; esac`]
}

function commandNames(states: readonly CompletionState[]): string[] {
  return states.flatMap(({ command }) => (command === '' ? [] : [command]))
}

function flagNames({ flag, short }: FlagDescription): string[] {
  return short === undefined ? [`--${flag}`] : [`--${flag}`, `-${short}`]
}

function functionName(program: string): string {
  return `_${program.replaceAll(/[^A-Za-z0-9]/g, '_')}`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
