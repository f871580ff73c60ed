/* SPDX-License-Identifier: Apache-2.0 */
#ifndef METRICS_IMPL_H
#define METRICS_IMPL_H

/* Between the files of this package only. */

#include "metrics/metrics.h"

/* process_* families, named as Prometheus' client libraries do. */
struct metrics_process;

struct metrics_process *metrics_process_new(struct metrics *metrics);
void metrics_process_read(struct metrics_process *process); /* sets them to what /proc says now */

#endif
