/**
 * Why a domain belongs to more than one owner: it is a public suffix, such as `co.uk` or `github.io`, or a wildcard
 * directly below one. Undefined: it has one owner.
 *
 * @param domain - canonical.
 */
export async function publicSuffixProblem(domain: string): Promise<string | undefined> {
  // A table of 100 kB, which only a server needs whose agents ask for domains.
  const { getPublicSuffix } = await import('tldts')
  const isSuffix = (name: string): boolean => getPublicSuffix(name, OPTIONS) === name
  const isWildcard = domain.startsWith('*.')
  const name = isWildcard ? domain.slice(2) : domain
  // A rule such as *.kawasaki.jp: the names below are suffixes, kawasaki.jp is none.
  const isShared = isSuffix(name) || (isWildcard && isSuffix(`_.${name}`))
  return isShared ? `${name} is a public suffix, with names of many owners below it` : undefined
}

/** Suffixes of companies, such as github.io, too. */
const OPTIONS = { allowPrivateDomains: true, detectIp: false, validateHostname: false }
