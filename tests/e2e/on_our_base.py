"""A plugin for pytest: the tests of jwst that it runs find this package in stpipe's place."""

import instead_of_upstream

instead_of_upstream.install()
