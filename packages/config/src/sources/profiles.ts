/**
 * Profiles: values in a file that count only when they are asked for, such as those of one machine.
 * `profiles` at the root of a file has a group of keys per name, each like the file itself.
 */
import { isNull, shapeWrong } from './layer.ts'
import { nearest } from './nearest.ts'
import type { Problem } from './problem.ts'
import { quote } from '../printing/printable.ts'
import type { RawNode } from './raw-node.ts'

/** A file taken apart. */
export interface ProfiledFile {
  /** What counts always. */
  readonly base: RawNode | undefined
  /** Names of all its profiles. */
  readonly names: readonly string[]
  /** Its profiles: those that were not asked for, then the others in the order of the request. */
  readonly profiles: readonly {
    readonly name: string
    readonly root: RawNode
    /** Whether it was asked for. Keys are checked in the others too, values are not. */
    readonly isChosen: boolean
  }[]
}

/**
 * Takes the profiles out of a file.
 *
 * @param chosen - names that are asked for, the weakest first; undefined: `profiles` has no meaning
 * @param problems - gets what is wrong with the shape
 */
export function takeProfiles(
  root: RawNode | undefined,
  chosen: readonly string[] | undefined,
  problems: Problem[],
): ProfiledFile {
  const member = root?.kind === 'map' ? root.members.get('profiles') : undefined
  if (root?.kind !== 'map' || !member || !chosen) return { base: root, names: [], profiles: [] }
  const members = new Map(root.members)
  members.delete('profiles')
  const base = { ...root, members }
  const { value } = member
  if (value.kind !== 'map') {
    if (value.kind !== 'unread' && !isNull(value)) {
      problems.push(shapeWrong('profiles', value, 'a group of profiles'))
    }
    return { base, names: [], profiles: [] }
  }
  const all = [...value.members].map(([name, { value: part }]) => ({
    name,
    root: part,
    isChosen: chosen.includes(name),
  }))
  const byName = new Map(all.map((profile) => [profile.name, profile]))
  const ordered = chosen.flatMap((name) => byName.get(name) ?? [])
  return {
    base,
    names: [...byName.keys()],
    profiles: [...all.filter(({ isChosen }) => !isChosen), ...ordered],
  }
}

/** The problems of profiles that no file has. */
export function unknownProfiles(
  chosen: readonly string[],
  known: ReadonlySet<string>,
): readonly Problem[] {
  return chosen.flatMap((name) => {
    if (known.has(name)) return []
    const meant = nearest(name, known)
    return {
      code: 'CONFIG_PROFILE_UNKNOWN',
      severity: 'error',
      message: `no file has the profile ${quote(name)}`,
      ...(known.size > 0 && { allowed: [...known].join(', ') }),
      ...(meant !== undefined && { hint: `did you mean ${meant}?` }),
    } as const
  })
}
