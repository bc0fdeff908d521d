/**
 * What an endpoint is called in the registry: its name, behind its tenant where there are tenants. No
 * endpoint that is registered has a slash in its name, so that two tenants never meet, and the key can be
 * read by people. Somebody may ask for a name with a slash all the same, and must not get that of a tenant:
 * such a name gets a key that nobody has.
 */
export function endpointKey(tenant: string, endpoint: string): string {
  if (tenant === '' && !endpoint.includes('/')) return endpoint
  return `${tenant}/${endpoint}`
}
