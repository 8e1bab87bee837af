//! As much of OpenShift as matters here.

/// Its kinds.
pub const ALL: [&str; 3] = [CONSTRAINTS, API_SERVERS, ROUTES];

/// With the fields that have to be there, and no field that is not: what is misspelt does not get through.
const CONSTRAINTS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: securitycontextconstraints.security.openshift.io}
spec:
  group: security.openshift.io
  scope: Cluster
  names: {kind: SecurityContextConstraints, plural: securitycontextconstraints, singular: securitycontextconstraints}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        required: [allowHostDirVolumePlugin, allowHostIPC, allowHostNetwork, allowHostPID, allowHostPorts,
                   allowPrivilegedContainer, allowedCapabilities, defaultAddCapabilities, priority,
                   readOnlyRootFilesystem, requiredDropCapabilities, volumes]
        properties:
          allowHostDirVolumePlugin: {type: boolean}
          allowHostIPC: {type: boolean}
          allowHostNetwork: {type: boolean}
          allowHostPID: {type: boolean}
          allowHostPorts: {type: boolean}
          allowPrivilegedContainer: {type: boolean}
          allowPrivilegeEscalation: {type: boolean, nullable: true}
          allowedCapabilities: {type: array, nullable: true, items: {type: string}}
          defaultAddCapabilities: {type: array, nullable: true, items: {type: string}}
          requiredDropCapabilities: {type: array, nullable: true, items: {type: string}}
          volumes: {type: array, nullable: true, items: {type: string}}
          seccompProfiles: {type: array, nullable: true, items: {type: string}}
          users: {type: array, nullable: true, items: {type: string}}
          groups: {type: array, nullable: true, items: {type: string}}
          priority: {type: integer, format: int32, nullable: true}
          readOnlyRootFilesystem: {type: boolean}
          runAsUser: {type: object, nullable: true, properties: {type: {type: string}}}
          seLinuxContext: {type: object, nullable: true, properties: {type: {type: string}}}
          fsGroup: {type: object, nullable: true, properties: {type: {type: string}}}
          supplementalGroups: {type: object, nullable: true, properties: {type: {type: string}}}
";

const API_SERVERS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: apiservers.config.openshift.io}
spec:
  group: config.openshift.io
  scope: Cluster
  names: {kind: APIServer, plural: apiservers, singular: apiserver}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

const ROUTES: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: routes.route.openshift.io}
spec:
  group: route.openshift.io
  scope: Namespaced
  names: {kind: Route, plural: routes, singular: route}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";
