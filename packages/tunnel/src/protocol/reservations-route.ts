/** Path of the names held for an identity; behind it and a slash, one of them. */
export const RESERVATIONS_ROUTE = '/adit/v1/reservations'
