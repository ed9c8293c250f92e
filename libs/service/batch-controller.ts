import { applyDecorators, Catch, Controller, UseFilters, type RpcExceptionFilter } from '@nestjs/common';
import { throwError, type Observable } from 'rxjs';

/** Hands an error on as it is. Nest's own filter would log it and hand on "Internal server error", without a cause. */
@Catch()
class FailureAsItIs implements RpcExceptionFilter {
  catch(error: unknown): Observable<never> {
    return throwError(() => error);
  }
}

/** A controller whose handlers take batches: what they throw reaches the bus, which tells it and brings them again. */
export function BatchController(): ClassDecorator {
  return applyDecorators(Controller(), UseFilters(FailureAsItIs));
}
