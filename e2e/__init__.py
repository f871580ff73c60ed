# SPDX-License-Identifier: Apache-2.0
"""The real components around the operator, and the tests and the demo that run on them."""
