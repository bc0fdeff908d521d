import manifest from '../package.json' with { type: 'json' }

/** The version of the program. */
export const VERSION: string = manifest.version

/** Program and version, as told to peers and people. */
export const SOFTWARE = `adit/${VERSION}`

/** The build of a release replaces it by the commit; in other builds it does not exist. */
declare const ADIT_COMMIT: string | undefined

/** Commit that the program was built from; undefined: it was not built for a release. */
export const COMMIT = typeof ADIT_COMMIT === 'string' ? ADIT_COMMIT : undefined
