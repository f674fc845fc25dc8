/* SPDX-License-Identifier: MIT */
/* TLS with certificates on both sides (GnuTLS); version 1.3 only, since both ends are ours. */
#include "relocd.h"
#include "fault.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/stat.h>

#define HANDSHAKE_MS 10000

static gnutls_certificate_credentials_t own;

static int failed(const char *what, int code)
{
    return fault(-EPROTO, "TLS: %s: %s", what, gnutls_strerror(code));
}

int tls_begin(const struct relocation *r)
{
    struct stat st;
    int n;

    if (!*r->certificate || !*r->key || !*r->authority)
        return fault(-EINVAL, RELOCATION_CONF ": certificate, key and authority must all be there");
    if (stat(r->key, &st))
        return fault(-errno, "key %s: %s", r->key, strerror(errno));
    if (st.st_mode & 077)
        return fault(-EPERM, "key %s: others than its owner can read it; chmod 600", r->key);
    n = gnutls_certificate_allocate_credentials(&own);
    if (n < 0)
        return failed("credentials", n);
    n = gnutls_certificate_set_x509_trust_file(own, r->authority, GNUTLS_X509_FMT_PEM);
    if (n <= 0)
        return fault(-EINVAL, "authority %s: no certificate in it: %s", r->authority, n ? gnutls_strerror(n) : "empty");
    n = gnutls_certificate_set_x509_key_file(own, r->certificate, r->key, GNUTLS_X509_FMT_PEM);
    return n < 0 ? fault(-EINVAL, "certificate %s with key %s: %s", r->certificate, r->key, gnutls_strerror(n)) : 0;
}

static int session(gnutls_session_t *s, int fd, unsigned flags)
{
    int n = gnutls_init(s, flags);

    if (n >= 0)
        n = gnutls_priority_set_direct(*s, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL);
    if (n >= 0)
        n = gnutls_credentials_set(*s, GNUTLS_CRD_CERTIFICATE, own);
    if (n < 0)
        return failed("session", n);
    gnutls_transport_set_int(*s, fd);
    gnutls_handshake_set_timeout(*s, HANDSHAKE_MS);
    return 0;
}

static int shake(gnutls_session_t s)
{
    int n;

    do
        n = gnutls_handshake(s);
    while (n < 0 && !gnutls_error_is_fatal(n));
    if (n == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
        gnutls_datum_t text = { 0 };
        int rc;

        gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(s), GNUTLS_CRT_X509, &text, 0);
        rc = fault(-EACCES, "TLS: the other host's certificate is not good: %s", text.data ? (char *)text.data : "?");
        gnutls_free(text.data);
        return rc;
    }
    return n < 0 ? failed("handshake", n) : 0;
}

/* No name that ends early by a NUL and goes on to something else. size: with or without the NUL at its end. */
static bool is_whole(const char name[128], size_t size)
{
    return strnlen(name, 128) + 1 >= size;
}

/* The i-th name in a certificate: alternative DNS names, then the common name. */
static bool name_of(gnutls_x509_crt_t crt, unsigned i, char name[128])
{
    size_t size = 128;
    int n = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &size, NULL);

    if (n == GNUTLS_SAN_DNSNAME)
        return is_whole(name, size);
    size = 128;
    return n < 0 && gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size) >= 0 && is_whole(name, size);
}

static int check_allowed(gnutls_session_t s, const struct relocation *r, char name[128])
{
    unsigned count = 0;
    const gnutls_datum_t *raw = gnutls_certificate_get_peers(s, &count);
    gnutls_x509_crt_t crt;
    bool good = false;

    if (!raw || !count || gnutls_x509_crt_init(&crt) < 0)
        return fault(-EACCES, "TLS: the other host shows no certificate");
    *name = 0;
    if (gnutls_x509_crt_import(crt, raw, GNUTLS_X509_FMT_DER) >= 0)
        for (unsigned i = 0; i < 16 && !good; i++)
            good = name_of(crt, i, name) && relocation_allows(r, name);
    gnutls_x509_crt_deinit(crt);
    return good ? 0 : fault(-EACCES, "host '%s': may not send guests here; add 'allow %s' to " RELOCATION_CONF, fault_printable(name), name);
}

int tls_accept(gnutls_session_t *s, int fd, const struct relocation *r, char name[128])
{
    int rc = session(s, fd, GNUTLS_SERVER);

    if (!rc) {
        gnutls_certificate_server_set_request(*s, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert(*s, NULL, 0);
        rc = shake(*s);
    }
    return rc ? rc : check_allowed(*s, r, name);
}

int tls_connect(gnutls_session_t *s, int fd, const char *host)
{
    int rc = session(s, fd, GNUTLS_CLIENT);

    if (rc)
        return rc;
    gnutls_server_name_set(*s, GNUTLS_NAME_DNS, host, strlen(host));
    gnutls_session_set_verify_cert(*s, host, 0);
    return shake(*s);
}

void tls_end(gnutls_session_t s)
{
    gnutls_deinit(s);
}
