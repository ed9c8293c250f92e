import { describe, expect, it } from '@jest/globals';
import { isLoopback } from './kafka-bus.js';

describe('a broker on this machine', () => {
  it.each(['localhost:9092', '127.0.0.1:9092', '127.1.2.3:1', '[::1]:9092', 'LOCALHOST:9092'])('%s is', (broker) => {
    expect(isLoopback(broker)).toBe(true);
  });

  it.each([
    'kafka.example:9092',
    '127.0.0.1.example:9092',
    'localhost.example:9092',
    '10.0.0.1:9092',
    '[::]:9092',
    '0.0.0.0:9092',
  ])('%s is not', (broker) => {
    expect(isLoopback(broker)).toBe(false);
  });
});
