/** How many names may be held. */
export interface ReservationLimits {
  /** For one identity of one tenant. Default 100. */
  readonly maxPerIdentity?: number
  /** At all. Default 100 000. */
  readonly maxTotal?: number
}

/** Defaults of the limits: more than an agent serves by hand, and what fits in a few dozen MB. */
export const RESERVATION_LIMITS: Readonly<Required<ReservationLimits>> = Object.freeze({
  maxPerIdentity: 100,
  maxTotal: 100_000,
})
