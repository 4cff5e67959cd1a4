#!/usr/bin/env bats
# TLS with client certificates, and tokens.

load fleet

setup_file() {
    needs_fleet
    command -v openssl >/dev/null || skip_all "openssl is missing"
}

# make_certificates: an authority; a server; a client without a CN; a stranger.
make_certificates() {
    local name
    {
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.pem -subj /O=fleet
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout stranger.key -out stranger.pem -subj /O=stranger
        echo "subjectAltName=IP:127.0.0.1" >names
        for name in server client; do
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.csr -subj /O=fleet
            openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out $name.pem
        done
    } >openssl.log 2>&1
}

@test "only a client with a certificate follows, and only a server with one is believed" {
    make_certificates
    ETCD_SCHEME=https
    ETCDCTL_OPTIONS="--cacert ca.pem --cert client.pem --key client.key"
    start_etcd --cert-file server.pem --key-file server.key --client-cert-auth --trusted-ca-file ca.pem
    on web-1 init --live "$T/live" >/dev/null
    gives 1 on web-1 fleet join "$ETCD" --name web-1
    says "certificate"
    gives 1 on web-1 fleet join "$ETCD" --name web-1 --cacert ca.pem --cert stranger.pem --key stranger.key
    gives 1 on web-1 fleet join "$ETCD" --name web-1 --cacert stranger.pem --cert client.pem --key client.key
    gives 1 on web-1 fleet join "$ETCD" --name web-1 --cacert missing.pem
    says "missing.pem: No such file"
    gives 0 on web-1 fleet join "$ETCD" --name web-1 --cacert ca.pem --cert client.pem --key client.key
    policies 4 | on web-1 fleet push -
    # Paths are kept whole.
    run_in_background web-1 env --chdir=/ "$BIDE" --dir "$T/web-1" fleet follow
    point '"release":1,"percent":100'
    until_true has web-1 payments attempts 4
}

# token_of USER: prints a new token.
token_of() {
    curl -s "$ETCD/v3/auth/authenticate" -d "{\"name\":\"$1\",\"password\":\"$1\"}" |
        python3 -S -c 'import json, sys; print(json.load(sys.stdin)["token"])'
}

@test "a token lets a host do what its role may, and no more" {
    start_etcd
    new_host web-1
    policies 4 | on web-1 fleet push -
    policies 5 | on web-1 fleet push -
    ctl user add root:root
    ctl user grant-role root root
    ctl user add web-1:web-1
    ctl role add host
    ctl role grant-permission host read /bide/ --prefix
    ctl role grant-permission host readwrite /bide/host/ --prefix
    ctl user grant-role web-1 host
    ctl auth enable
    export ETCDCTL_OPTIONS="--user root:root"
    gives 1 on web-1 fleet releases
    says "user name is empty"
    token_of web-1 >token
    on web-1 fleet join "$ETCD" --name web-1 --token-file token
    follow web-1
    point '"release":1,"percent":100'
    until_true has web-1 payments attempts 4
    until_true record_has web-1 'g("release") == 1'
    # A release is pushed by those who may write all of the fleet.
    gives 1 bash -c "'$BIDE' --dir '$T/web-1' fleet push - <<<'[payments]'"
    says "permission denied"
    # The token is taken back; the file gets another one.
    echo wrong.1 >token
    kill_now web-1
    follow web-1
    until_true grep -q "invalid auth token; policies stay as they are" web-1.log
    has web-1 payments attempts 4
    token_of web-1 >token
    point '"release":2,"percent":100'
    until_true has web-1 payments attempts 5
    rm token
    gives 1 on web-1 fleet releases
    says "there is no token"
}
