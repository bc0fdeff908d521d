/** Most values of a claim that are looked at. */
const MAX_VALUES = 1_000

/**
 * The texts that a claim has.
 *
 * @param name - of the claim; where there is none of this name, dots lead into objects: `realm_access.roles`.
 * @returns empty when there is none. An `email` that the provider has not verified is none: anybody could have typed it.
 */
export function claimTexts(claims: Readonly<Record<string, unknown>>, name: string): string[] {
  if (name === 'email' && claims['email_verified'] !== true) return []
  const value = Object.hasOwn(claims, name) ? claims[name] : inside(claims, name.split('.'))
  const values: readonly unknown[] = Array.isArray(value) ? value.slice(0, MAX_VALUES) : [value]
  return values.filter((one): one is string => typeof one === 'string' && one !== '')
}

/**
 * Claims of the ID token, and of the userinfo endpoint where the ID token lacks them.
 *
 * @returns whether an address is verified is said by who tells the address.
 */
export function joinedClaims(
  idToken: Readonly<Record<string, unknown>>,
  userInfo: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { email_verified } = idToken['email'] === undefined ? userInfo : idToken
  return { ...userInfo, ...idToken, email_verified }
}

function inside(value: unknown, [first, ...rest]: readonly string[]): unknown {
  if (first === undefined) return value
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, first)) return undefined
  return inside((value as Readonly<Record<string, unknown>>)[first], rest)
}
