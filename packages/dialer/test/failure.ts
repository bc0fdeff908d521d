import { isDialError, type DialError } from '../src/index.ts'

/** Waits for a dial to fail, and returns its DialError. */
export async function failure(dialed: Promise<unknown>): Promise<DialError> {
  try {
    await dialed
  } catch (error) {
    if (isDialError(error)) return error
    throw error
  }
  throw new Error('the dial succeeded')
}
