/** Signs JWTs with Node's crypto alone, so that what is tested does not make its own proofs. */
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

/** A key pair of each kind that is needed; made once, because RSA takes its time. */
export const PAIRS = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  otherRsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  otherP256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ed25519: generateKeyPairSync('ed25519'),
  otherEd25519: generateKeyPairSync('ed25519'),
}

/** The PEM text of a public key. */
export function pemOf({ publicKey }: { publicKey: KeyObject }): string {
  return publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

/** A JWT with these claims. */
export function jwt(
  alg: string,
  key: string | { privateKey: KeyObject },
  claims: unknown,
  header: object = {},
): string {
  const parts = [{ alg, typ: 'JWT', ...header }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  const input = Buffer.from(parts.join('.'))
  return [...parts, signatureOf(alg, key, input).toString('base64url')].join('.')
}

function signatureOf(alg: string, key: string | { privateKey: KeyObject }, input: Buffer): Buffer {
  const digest = `sha${alg.slice(2)}`
  if (alg === 'none') return Buffer.alloc(0)
  if (typeof key === 'string') return createHmac(digest, key).update(input).digest()
  const { privateKey } = key
  if (alg.startsWith('Ed')) return sign(null, input, privateKey)
  if (alg.startsWith('ES')) {
    return sign(digest, input, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  }
  const padding = alg.startsWith('PS') && {
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  }
  return sign(digest, input, { key: privateKey, ...padding })
}
