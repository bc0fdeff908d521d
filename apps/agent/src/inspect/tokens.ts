/** Whether a text is a token of HTTP (RFC 9110 section 5.6.2), as methods and names of headers are. */
export function isToken(text: string): boolean {
  return /^[!#$%&'*+.^_`|~\w-]+$/.test(text)
}
