import { describe } from 'vitest'

import { MemoryReservationStore } from '../../src/store/reservation-store.ts'
import { SqliteReservationStore } from '../../src/store/sqlite-reservation-store.ts'
import { freshDatabase } from './fixtures.ts'
import { reservationSuite } from './reservation-suite.ts'

describe('reservations in memory', () => {
  reservationSuite(async (limits) => new MemoryReservationStore(limits))
})
describe('reservations in a file', () => {
  reservationSuite(async (limits) => new SqliteReservationStore(freshDatabase(), limits))
})
