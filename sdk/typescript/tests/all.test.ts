/** All tests in one process, so that they share one Deputy. */

import './story.js'
import './vectors.js'
import './requests.js'
import './last_check.js'
import './unreliable.js'
import './proofs.js'
import './keys.js'
import './provider.js'
import './examples.js'
import './discovery.js'
