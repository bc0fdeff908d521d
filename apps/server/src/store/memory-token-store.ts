import { MAX_TOKENS, USE_RESOLUTION_MS } from './token-limits.ts'
import type { TokenRecord, TokenRefusal, TokenStore } from './token-store.ts'

/** Tokens of one process, for servers that are part of a program and for tests. */
export class MemoryTokenStore implements TokenStore {
  readonly #tokens = new Map<string, TokenRecord>()
  readonly #listeners = new Set<() => void>()
  readonly #maxTokens: number

  /** @param options.maxTokens - default MAX_TOKENS. */
  constructor({ maxTokens = MAX_TOKENS }: { readonly maxTokens?: number } = {}) {
    this.#maxTokens = maxTokens
  }

  /** @inheritdoc */
  get hasEverHeldTokens(): boolean {
    return this.#tokens.size > 0
  }

  /** @inheritdoc */
  find(id: string): TokenRecord | undefined {
    return this.#tokens.get(id)
  }

  /** @inheritdoc */
  list(): readonly TokenRecord[] {
    return [...this.#tokens.values()]
  }

  /** @inheritdoc */
  async create(
    token: Omit<TokenRecord, 'revokedAt' | 'lastUsedAt'>,
  ): Promise<TokenRefusal | undefined> {
    if (this.#tokens.has(token.id)) return 'id-taken'
    if (this.#tokens.size >= this.#maxTokens) return 'limit-reached'
    this.#tokens.set(token.id, { ...token, revokedAt: undefined, lastUsedAt: undefined })
    this.#changed()
    return undefined
  }

  /** @inheritdoc */
  async revoke(id: string, at: number): Promise<boolean> {
    const token = this.#tokens.get(id)
    if (token === undefined || token.revokedAt !== undefined) return false
    this.#tokens.set(id, { ...token, revokedAt: at })
    this.#changed()
    return true
  }

  /** @inheritdoc */
  noteUse(id: string, at: number): void {
    const token = this.#tokens.get(id)
    if (token === undefined || at - (token.lastUsedAt ?? -Infinity) < USE_RESOLUTION_MS) return
    this.#tokens.set(id, { ...token, lastUsedAt: at })
  }

  /** @inheritdoc */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}
