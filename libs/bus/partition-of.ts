export { partitionOfKey as partitionOf } from '#contracts';
