import { jest } from '@jest/globals';
import { describeBus } from '#testing';
import { kafkaWorld } from './bus-world.js';

jest.setTimeout(60_000);

describeBus('KafkaBus', () => Promise.resolve(kafkaWorld()));
