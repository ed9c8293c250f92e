import { describeBus } from '#testing';
import { kafkaWorld } from './bus-world.js';

describeBus('KafkaBus', () => Promise.resolve(kafkaWorld()));
