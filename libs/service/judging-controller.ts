import { Inject, type Type } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { Batch, BatchHandler, BatchResult } from '#bus';
import { BatchController } from './batch-controller.js';
import { JUDGING, SEGMENT } from './judging.module.js';

/** The controller through which the segment of this process judges what lies on a topic. */
export function judgingController({ name }: { readonly name: string }): Type {
  @BatchController()
  class JudgingController {
    constructor(@Inject(SEGMENT) private readonly segment: BatchHandler) {}

    @MessagePattern(name, JUDGING)
    judge(@Payload() batch: Batch): Promise<BatchResult> {
      return this.segment(batch);
    }
  }
  return JudgingController;
}
