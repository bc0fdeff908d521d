/**
 * What an endpoint is called in the registry: its name, behind its tenant where there are tenants. No
 * endpoint name has a slash, so that two tenants never meet, and the key can be read by people.
 */
export function endpointKey(tenant: string, endpoint: string): string {
  return tenant === '' ? endpoint : `${tenant}/${endpoint}`
}
